package dataset

import "slices"

// allImages are the images of two splits, numbered through.
type allImages struct{ train, test *Images }

func (a allImages) count() int { return a.train.Count + a.test.Count }

// find returns the split and the index there of an image.
func (a allImages) find(i int) (*Images, int) {
	if i < a.train.Count {
		return a.train, i
	}
	return a.test, i - a.train.Count
}

func (a allImages) file(i int) string {
	im, k := a.find(i)
	return im.Files[k]
}

func (a allImages) label(i int) int {
	im, k := a.find(i)
	return int(im.Labels[k])
}

// groups returns the groups of copies, 0 for none.
func (a allImages) groups() []int {
	out := make([]int, a.count())
	for i := range out {
		if im, k := a.find(i); im.Groups != nil {
			out[i] = int(im.Groups[k])
		}
	}
	return out
}

func (a allImages) setGroups(groups []int) {
	for _, im := range []*Images{a.train, a.test} {
		im.Groups = make([]int64, im.Count)
	}
	for i, g := range groups {
		im, k := a.find(i)
		im.Groups[k] = int64(g)
	}
}

// joinGroups returns the groups that come of groups, 0 for none, when pairs belong together too. Groups are numbered by their first image.
func joinGroups(groups []int, pairs []nearPair) []int {
	parent := make([]int, len(groups))
	first := map[int]int{}
	var root func(i int) int
	root = func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	join := func(i, j int) {
		if a, b := root(i), root(j); a != b {
			parent[max(a, b)] = min(a, b)
		}
	}
	for i := range parent {
		parent[i] = i
	}
	for i, g := range groups {
		if g == 0 {
			continue
		}
		if other, ok := first[g]; ok {
			join(i, other)
		} else {
			first[g] = i
		}
	}
	for _, p := range pairs {
		join(p.a, p.b)
	}
	size := make([]int, len(parent))
	for i := range parent {
		size[root(i)]++
	}
	out, numbers := make([]int, len(parent)), map[int]int{}
	for i := range parent {
		r := root(i)
		if size[r] < 2 && groups[i] == 0 {
			continue
		}
		if numbers[r] == 0 {
			numbers[r] = len(numbers) + 1
		}
		out[i] = numbers[r]
	}
	return out
}

// drawTogether divides the images anew so that groups stay together, and tells which belong to the test. As few as can be change sides,
// and a class has as many test images as before, or less where groups are large.
func (a allImages) drawTogether(groups []int, classes int) []bool {
	members, quotas := make([][]int, classes), make([]int, classes)
	for i := a.train.Count; i < a.count(); i++ { // those that are in the test come first
		members[a.label(i)] = append(members[a.label(i)], i)
		quotas[a.label(i)]++
	}
	for i := range a.train.Count {
		members[a.label(i)] = append(members[a.label(i)], i)
	}
	together := map[int]bool{}
	out := make([]bool, a.count())
	for c := range members {
		chosen, _ := drawTogether(members[c], quotas[c], groups, together)
		for _, i := range chosen {
			out[i] = true
		}
	}
	return out
}

// missing returns the first class that has no image on one side, -1 when all have.
func (a allImages) missing(inTest []bool, classes int) int {
	counts := [2][]int{make([]int, classes), make([]int, classes)}
	for i, in := range inTest {
		counts[map[bool]int{true: 1}[in]][a.label(i)]++
	}
	class := slices.Index(counts[0], 0)
	if other := slices.Index(counts[1], 0); class < 0 || other >= 0 && other < class {
		class = other
	}
	return class
}
