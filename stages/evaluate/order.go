package evaluate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// OrderClasses says which score belongs to each class of a data set where neither the model nor its user names the classes: the position
// of the class among all, unless the classes are numbers. A class that is called by a number has that score; classes from 1 up to
// as many as there are scores have the number less one; and numbers beyond the scores, such as angles, are in the order of their
// values where there is one for each score. scores is how many the model gives, 0 where it does not declare that.
//
// The note is for the user: it is not empty where another tool might have had the classes in another order, and tells both.
func OrderClasses(classes []string, scores int) (scoreOf []int, note string) {
	numbers, all := numbersOf(classes)
	low, high := 0, 0
	if all {
		low, high = slices.Min(numbers), slices.Max(numbers)
	}
	byPosition := make([]int, len(classes))
	for i := range byPosition {
		byPosition[i] = i
	}
	if scores == 0 {
		scores = len(classes)
	}
	as := func(score func(number int) int, how string) ([]int, string) {
		out := make([]int, len(classes))
		for i, n := range numbers {
			out[i] = score(n)
		}
		if slices.Equal(out, byPosition) {
			return out, ""
		}
		return out, fmt.Sprintf("the model does not name its classes, and those of the data set are numbers: %s. A tool that sorts names as text has them in the order %s; "+
			"if the model was made by one, name its classes with --labels", how, some(classes))
	}
	switch {
	case all && low >= 0 && high < scores:
		return as(func(n int) int { return n }, "each is taken for the number of its score, from 0")
	case all && low >= 1 && high == scores:
		return as(func(n int) int { return n - 1 }, "they begin with 1, and each is taken for the number of its score, counted from 1")
	case all && len(classes) == scores:
		inOrder := slices.Sorted(slices.Values(numbers))
		return as(func(n int) int { return slices.Index(inOrder, n) }, "they are taken in the order of their values, as "+some(words(inOrder)))
	}
	natural := slices.SortedFunc(slices.Values(classes), compareNaturally)
	folded := slices.SortedFunc(slices.Values(classes), func(a, b string) int { return cmp.Or(cmp.Compare(fold(a), fold(b)), cmp.Compare(a, b)) })
	for _, other := range [][]string{natural, folded} {
		if !slices.Equal(other, classes) {
			return nil, fmt.Sprintf("the model does not name its classes; those of the data set are taken in the order of their names as text: %s. If the model has them in another order, such as %s, name them with --labels",
				some(classes), some(other))
		}
	}
	return nil, ""
}

// numbersOf reads classes as whole numbers, of which no two are equal.
func numbersOf(classes []string) (numbers []int, ok bool) {
	numbers = make([]int, len(classes))
	seen := map[int]bool{}
	for i, class := range classes {
		n, err := strconv.Atoi(class)
		if err != nil || seen[n] {
			return nil, false
		}
		numbers[i], seen[n] = n, true
	}
	return numbers, len(classes) > 0
}

func words(numbers []int) []string {
	out := make([]string, len(numbers))
	for i, n := range numbers {
		out[i] = strconv.Itoa(n)
	}
	return out
}

// some lists the first few names.
func some(names []string) string {
	const most = 6
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// compareNaturally orders texts as people do who number things: c2 comes before c10.
func compareNaturally(a, b string) int {
	whole := cmp.Compare(a, b)
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da == "" || db == "" {
			if c := cmp.Compare(a[0], b[0]); c != 0 {
				return c
			}
			a, b = a[1:], b[1:]
			continue
		}
		va, vb := strings.TrimLeft(da, "0"), strings.TrimLeft(db, "0")
		if c := cmp.Or(cmp.Compare(len(va), len(vb)), cmp.Compare(va, vb)); c != 0 {
			return c
		}
		a, b = a[len(da):], b[len(db):]
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), whole)
}

// digits are those that a text begins with.
func digits(s string) string {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return s[:i]
		}
	}
	return s
}
