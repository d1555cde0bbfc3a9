package evaluate_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/evaluate"
)

func TestOrderOfClassesWithoutNames(t *testing.T) {
	upTo := func(first, last int) []string {
		var out []string
		for n := first; n <= last; n++ {
			out = append(out, strconv.Itoa(n))
		}
		slices.Sort(out)
		return out
	}
	for name, c := range map[string]struct {
		classes []string
		scores  int
		want    []int
		note    string // a part of it; empty for none
	}{
		"words":                   {[]string{"bird", "cat"}, 2, nil, ""},
		"digits in order":         {upTo(0, 9), 10, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, ""},
		"two digits":              {upTo(0, 11), 12, []int{0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9}, "each is taken for the number of its score"},
		"two digits, undeclared":  {upTo(0, 11), 0, []int{0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9}, "sorts names as text has them in the order 0, 1, 10, 11, 2, 3, ..."},
		"leading zeros":           {[]string{"00", "01", "02"}, 3, []int{0, 1, 2}, ""},
		"from one":                {upTo(1, 12), 12, []int{0, 9, 10, 11, 1, 2, 3, 4, 5, 6, 7, 8}, "begin with 1"},
		"from one, background":    {upTo(1, 3), 4, []int{1, 2, 3}, "each is taken for the number of its score"},
		"gaps":                    {[]string{"0", "1", "10", "2"}, 12, []int{0, 1, 10, 2}, "each is taken for the number of its score"},
		"angles":                  {[]string{"0", "180", "270", "90"}, 4, []int{0, 2, 3, 1}, "order of their values, as 0, 90, 180, 270"},
		"signs":                   {[]string{"-1", "1"}, 2, []int{0, 1}, ""},
		"same number twice":       {[]string{"01", "1"}, 2, nil, ""},
		"numbered words":          {[]string{"c0", "c1", "c10", "c2"}, 4, nil, "another order, such as c0, c1, c2, c10"},
		"capitals":                {[]string{"Bird", "Cat", "ant"}, 3, nil, "another order, such as ant, Bird, Cat"},
		"more scores than angles": {[]string{"180", "90"}, 4, nil, "as text: 180, 90"},
	} {
		t.Run(name, func(t *testing.T) {
			got, note := evaluate.OrderClasses(c.classes, c.scores)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if (c.note == "") != (note == "") || !strings.Contains(note, c.note) {
				t.Errorf("the note is %q, expected one with %q", note, c.note)
			}
		})
	}
}

// Whatever the classes are called, no two share a score and none has one that the model does not give.
func TestOrderGivesEachClassAScoreOfItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.SliceOfNDistinct(rapid.StringMatching(`-?[0-9]{1,3}|[a-c][0-9]{0,2}`), 1, 12, rapid.ID[string]).Draw(t, "classes")
		slices.Sort(classes)
		scores := rapid.IntRange(len(classes), 40).Draw(t, "scores")
		got, _ := evaluate.OrderClasses(classes, scores)
		if got == nil {
			return
		}
		seen := map[int]bool{}
		for i, score := range got {
			if score < 0 || score >= scores || seen[score] {
				t.Fatalf("class %q has score %d of %d: %v", classes[i], score, scores, got)
			}
			seen[score] = true
		}
	})
}
