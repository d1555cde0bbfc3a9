package space_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/space"
)

func wide() space.Declaration {
	return space.Declaration{Name: "wide", Nodes: 3, Operations: []string{"skip_connect", "sep_conv_5x5", "nor_conv_3x3_d2_hardswish", "max_pool_3x3"}}
}

func TestDeclaredSpaces(t *testing.T) {
	s, err := wide().Space()
	if err != nil {
		t.Fatal(err)
	}
	if s.Size() != 64 || s.ShellSize(1) != 9 || s.Format(space.Architecture{0, 1, 2}) != "|skip_connect~0|+|sep_conv_5x5~0|nor_conv_3x3_d2_hardswish~1|" {
		t.Errorf("%d architectures, such as %s", s.Size(), s.Format(space.Architecture{0, 1, 2}))
	}
	nb := space.NASBench201()
	d := space.Declaration{Name: "mine", Nodes: 4, Edges: []string{"1<-0", "2 <- 0", "2<-1", "3<-0", "3<-1", "3<-2"}, Operations: nb.Operations}
	mine, err := d.Space()
	if err != nil {
		t.Fatal(err)
	}
	mine.Name = nb.Name
	if diff := cmp.Diff(nb, mine); diff != "" {
		t.Errorf("NAS-Bench-201 as a declaration differs (-want +got):\n%s", diff)
	}
	for _, s := range []*space.Space{s, nb, space.DARTS()} {
		again, err := space.ByName(s.Reference())
		if diff := cmp.Diff(s, again); err != nil || diff != "" {
			t.Errorf("%s reads back differently: %v\n%s", s.Reference(), err, diff)
		}
	}
	const want = `{"name":"wide","nodes":3,"edges":["1<-0","2<-0","2<-1"],"operations":["skip_connect","sep_conv_5x5","nor_conv_3x3_d2_hardswish","max_pool_3x3"]}`
	if got := s.Reference(); got != want {
		t.Errorf("Reference() = %s", got)
	}
	for text, want := range map[string]string{
		"{": "reading the declaration", `{"kind":1}`: "unknown field", `{"name":"x"}`: "nodes: 0 nodes", want + "{}": "something follows",
	} {
		if _, err := space.ByName(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMistakesInADeclaration(t *testing.T) {
	for _, c := range []struct {
		change func(*space.Declaration)
		path   string
		want   string
	}{
		{func(d *space.Declaration) { d.Name = "" }, "name", "the space has no name"},
		{func(d *space.Declaration) { d.Name = "darts" }, "name", "darts is a space that exists; give another name"},
		{func(d *space.Declaration) { d.Name = "a b" }, "name", `"a b"; use up to 64 letters`},
		{func(d *space.Declaration) { d.Nodes = 1 }, "nodes", "1 nodes; a cell has from 2"},
		{func(d *space.Declaration) { d.Operations[1] = "sep_con_5x5" }, "operations[1]", `unknown kind "sep_con"`},
		{func(d *space.Declaration) { d.Operations[1] = "sep_con_5x5" }, "operations[1]", `did you mean "sep_conv_5x5"?`},
		{func(d *space.Declaration) { d.Operations[1] = "skip" }, "operations[1]", `unknown kind "skip": known are none, skip_connect, nor_conv`},
		{func(d *space.Declaration) { d.Operations[1] = "skip_connect" }, "operations[1]", "skip_connect is given twice"},
		{func(d *space.Declaration) { d.Operations[1] = "none_3x3" }, "operations[1]", "none has no kernel; write none alone"},
		{func(d *space.Declaration) { d.Operations[1] = "nor_conv" }, "operations[1]", "nor_conv needs the size of its kernel, such as nor_conv_3x3"},
		{func(d *space.Declaration) { d.Operations[1] = "nor_conv_3x5" }, "operations[1]", "a kernel of 3x5; it must be square and odd, up to 15x15"},
		{func(d *space.Declaration) { d.Operations[1] = "avg_pool_1x1" }, "operations[1]", "a kernel of 1x1"},
		{func(d *space.Declaration) { d.Operations[1] = "nor_conv_4x4" }, "operations[1]", "a kernel of 4x4"},
		{func(d *space.Declaration) { d.Operations[1] = "avg_pool_3x3_d2" }, "operations[1]", `a pool has no setting "d2"; write avg_pool_3x3`},
		{func(d *space.Declaration) { d.Operations[1] = "nor_conv_3x3_d9" }, "operations[1]", `a dilation of "d9"; write d1 to d8`},
		{func(d *space.Declaration) { d.Operations[1] = "dil_conv_3x3_d2" }, "operations[1]", "leave _d2 out"},
		{func(d *space.Declaration) { d.Operations[1] = "nor_conv_3x3_swich" }, "operations[1]", `unknown activation "swich": known are hardswish, swish, gelu, and relu when none is named; did you mean "swish"?`},
		{func(d *space.Declaration) { d.Operations[1] = "nor_conv_3x3_swish_d2" }, "operations[1]", `"d2" after the activation`},
		{func(d *space.Declaration) { d.Operations = []string{"none", "skip_connect"} }, "operations", "none of them has weights"},
		{func(d *space.Declaration) { d.Operations = d.Operations[1:2] }, "operations", "1 operations; a choice needs from 2 to 32"},
		{func(d *space.Declaration) { d.Edges = []string{"2<-0", "1<-0", "2<-1"} }, "edges[1]", "1<-0 is out of order after 2<-0"},
		{func(d *space.Declaration) { d.Edges = []string{"1<-0", "2<-1", "2<-0"} }, "edges[2]", "2<-0 is out of order after 2<-1"},
		{func(d *space.Declaration) { d.Edges = []string{"1<-0", "1<-2"} }, "edges[1]", "1<-2 leads back; data flows to nodes with higher numbers, so write 2<-1"},
		{func(d *space.Declaration) { d.Edges = []string{"1<-0", "3<-1"} }, "edges[1]", "3<-1: the nodes are 0 to 2"},
		{func(d *space.Declaration) { d.Edges = []string{"1<-0", "1<-0"} }, "edges[1]", "1<-0 is given twice"},
		{func(d *space.Declaration) { d.Edges = []string{"1-0"} }, "edges[0]", `"1-0" is no edge; write TO<-FROM`},
		{func(d *space.Declaration) { d.Edges = []string{"1<-0"} }, "edges", "no edge leads to the output, node 2,"},
		{func(d *space.Declaration) { d.Edges = []string{"1<-0", "2<-0"} }, "edges", "no edge leaves node 1, so the output cannot depend on it"},
		{func(d *space.Declaration) { d.Edges = []string{"2<-0", "2<-1"} }, "edges", "no edge leads to node 1"},
	} {
		d := wide()
		c.change(&d)
		_, err := d.Space()
		var where *space.DeclarationError
		if err == nil || !errors.As(err, &where) || where.Path != c.path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v:\n%v does not say %q of %s", d, err, c.want, c.path)
		}
	}
	many := space.Declaration{Nodes: 1, Operations: []string{"a", "b"}}
	if _, err := many.Space(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not every mistake is reported: %v", err)
	}
}

func TestOperationsByName(t *testing.T) {
	for name, want := range map[string]space.Operation{
		"none":                      {Kind: "none"},
		"nor_conv_1x1":              {Kind: "nor_conv", Kernel: 1, Dilation: 1, Activation: "relu"},
		"dil_conv_5x5":              {Kind: "dil_conv", Kernel: 5, Dilation: 2, Activation: "relu"},
		"dep_conv_7x7_gelu":         {Kind: "dep_conv", Kernel: 7, Dilation: 1, Activation: "gelu"},
		"nor_conv_3x3_d2_hardswish": {Kind: "nor_conv", Kernel: 3, Dilation: 2, Activation: "hardswish"},
		"avg_pool_3x3":              {Kind: "avg_pool", Kernel: 3},
	} {
		if got, err := space.ParseOperation(name); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, s := range []*space.Space{space.NASBench201(), space.DARTS()} {
		for _, name := range s.Operations {
			if _, err := space.ParseOperation(name); err != nil {
				t.Error(err)
			}
		}
	}
}

// The edges of any cell, given or left out, make a space whose reference reads back.
func TestDeclarationsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := wide()
		d.Nodes = rapid.IntRange(2, 5).Draw(t, "nodes")
		s, err := d.Space()
		if err != nil || len(s.Edges) != d.Nodes*(d.Nodes-1)/2 {
			t.Fatal(err)
		}
		again, err := space.ByName(s.Reference())
		if diff := cmp.Diff(s, again); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	})
}

func FuzzParseOperation(f *testing.F) {
	for _, name := range []string{"none", "nor_conv_3x3_d2_swish", "_3x3", "max_pool_15x15", "x", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if o, err := space.ParseOperation(name); err == nil && o.Name() != name {
			t.Errorf("%q is read as %+v", name, o)
		}
	})
}
