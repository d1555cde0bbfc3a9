package space

import (
	"fmt"
	"strings"
	"sync"
)

// Class returns what an architecture computes, as a text that is equal for architectures of the space that compute the same and
// for no others: the function of the stand-alone network, whose edges have weights of their own. Two architectures compute the
// same when the operations with weights of the one can be paired with those of the other so that with equal weights the results
// are equal. These equalities are known:
//
//   - What an edge with "none" would bring is zero; operations make zero of zero (a convolution of zeros too: in the supernets its
//     normalization has no parameters. In a network that is trained alone it may add a learned bias, which does not count); what
//     the cell's output does not depend on does not matter.
//   - A skip connection is what it is applied to, and a node is a sum, in any order and with sums in it dissolved. A term that comes
//     twice is counted twice: two convolutions of the same node differ, the same convolution that arrives on two ways, or a node
//     that is added to itself, counts double.
//   - Pools have no weights, so pools of equal sums are equal. An average pool of a sum is the sum of the pools; a max pool of the
//     double is the double of the pool.
//   - A cell of the DARTS space concatenates its nodes, and the 1x1 convolutions that follow can take them in any order, so the
//     order of the nodes does not matter. Its two inputs are different ones.
//
// That a normalized convolution of the double of a sum is nearly that of the sum (only the normalization's epsilon is in the
// way) is none of them; nor is what a training or shared weights make of it: two architectures of one class have different
// shared weights, and different scores by them.
//
// Of the 15,625 strings of NAS-Bench-201 5,044 classes are left: 9,445 where only what is zero or dead is left out, 6,193 with
// nodes and terms in any order, 5,260 with sums in sums dissolved, 5,044 with average pools of sums taken apart. The 6,466
// that are usually named are those of the benchmark's own canonical form (CellStructure.to_unique_str of AutoDL-Projects), which keeps
// zeros as terms of a sum and takes a convolution that arrives twice for two. The text reads as a sum:
//
//	t1 = nor_conv_3x3(x); t1 + 2*avg_pool_3x3(x) + nor_conv_1x1(t1)
//
// x is the cell's input, x0 and x1 where there are two; t1 is a result that is used in more than one place; "0" computes
// nothing. The cells of the DARTS space follow each other, their nodes joined by "|". An architecture that is not of the
// space has no class, the empty string.
func (s *Space) Class(a Architecture) string {
	if s.Check(a) != nil {
		return ""
	}
	cells := make([]string, max(1, len(s.Cells)))
	for i := range cells {
		cells[i] = s.computed(i, a).ordered().String()
		if len(s.Cells) > 0 {
			cells[i] = s.Cells[i] + " " + cells[i]
		}
	}
	return strings.Join(cells, ", ")
}

// String writes the terms in their order: those that are used in more than one place under a name, all others where they are used.
func (c *computation) String() string {
	uses := make([]int, len(c.terms))
	for _, t := range c.terms {
		for _, in := range t.of {
			uses[in.term]++
		}
	}
	var named, outputs []string
	text := make([]string, len(c.terms))
	for i, t := range c.terms {
		parts := make([]string, len(t.of))
		for j, in := range t.of {
			if parts[j] = text[in.term]; in.times > 1 {
				parts[j] = fmt.Sprintf("%d*%s", in.times, parts[j])
			}
		}
		sum := strings.Join(parts, " + ")
		switch {
		case t.label == outputLabel && sum == "":
			outputs = append(outputs, "0")
		case t.label == outputLabel:
			outputs = append(outputs, sum)
		case len(t.of) == 0:
			text[i] = t.label
		case uses[i] > 1:
			text[i] = fmt.Sprintf("t%d", len(named)+1)
			named = append(named, fmt.Sprintf("%s = %s(%s); ", text[i], t.label, sum))
		default:
			text[i] = fmt.Sprintf("%s(%s)", t.label, sum)
		}
	}
	return strings.Join(named, "") + strings.Join(outputs, " | ")
}

// Classes gives the classes of a space's architectures and remembers them. It may be used by several goroutines at once.
type Classes struct {
	space *Space
	known sync.Map // Architecture.Key to class
}

// NewClasses returns the classes of a space, of which none is known yet.
func NewClasses(s *Space) *Classes { return &Classes{space: s} }

// Space returns the space.
func (c *Classes) Space() *Space { return c.space }

// Of returns Space.Class(a).
func (c *Classes) Of(a Architecture) string {
	key := a.Key()
	if class, ok := c.known.Load(key); ok {
		return class.(string)
	}
	class := c.space.Class(a)
	c.known.Store(key, class)
	return class
}

// MaxEnumerated is the size up to which a space's classes are counted: a matter of a second.
const MaxEnumerated = 1 << 17

// ClassMembers is one class of a space.
type ClassMembers struct {
	Class          string
	Representative Architecture // the first of them in the order of All: of several the one with "none" on the early edges, where the space has that
	Members        int
}

// CountClasses returns all classes of a space, ordered by their representatives. The error says that the space has more than
// MaxEnumerated architectures.
func (s *Space) CountClasses() ([]ClassMembers, error) {
	if s.Size() > MaxEnumerated {
		return nil, fmt.Errorf("space %s has %v architectures; classes are counted in spaces of up to %d", s.Name, s.BigSize(), MaxEnumerated)
	}
	var out []ClassMembers
	at := map[string]int{}
	for a := range s.All() {
		class := s.Class(a)
		i, ok := at[class]
		if !ok {
			i, at[class] = len(out), len(out)
			out = append(out, ClassMembers{Class: class, Representative: a})
		}
		out[i].Members++
	}
	return out, nil
}

// CountMembers returns how many architectures of the space are of each of the given classes: 0 where a class has none, and nil when
// the space has more than MaxEnumerated architectures.
func (s *Space) CountMembers(classes ...string) []int {
	if s.Size() > MaxEnumerated {
		return nil
	}
	members := map[string]int{}
	for a := range s.All() {
		members[s.Class(a)]++
	}
	out := make([]int, len(classes))
	for i, class := range classes {
		out[i] = members[class]
	}
	return out
}
