package space_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/space"
)

const dartsV2 = `DARTS_V2 = Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])`

func TestPublishedGenotypes(t *testing.T) {
	for _, name := range space.GenotypeNames() {
		g, err := space.GenotypeByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		again, err := space.ParseGenotype(g.String())
		if err != nil || again != g {
			t.Errorf("%s reads back as %v: %v", name, again, err)
		}
	}
	g, err := space.ParseGenotype(dartsV2)
	if err != nil {
		t.Fatal(err)
	}
	want, err := space.GenotypeByName("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("DARTS_V2 as it stands in the reference code differs (-want +got):\n%s", diff)
	}
	if _, err := space.GenotypeByName("DARTS_V3"); err == nil || !strings.Contains(err.Error(), `did you mean "DARTS_V1"?`) {
		t.Error(err)
	}
}

func TestGenotypeNotationAsPeoplePasteIt(t *testing.T) {
	want, err := space.ParseGenotype(dartsV2)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"white space":       strings.NewReplacer(", ", " ,\n\t", "=", " = ", "(", "( ", "[", "[\n").Replace(dartsV2),
		"double quotes":     strings.ReplaceAll(dartsV2, "'", `"`),
		"commas at the end": strings.NewReplacer("])", ",],)", ")]", "),]").Replace(dartsV2),
		"range":             strings.ReplaceAll(dartsV2, "[2, 3, 4, 5]", "range(2, 6)"),
		"list of a range":   strings.ReplaceAll(dartsV2, "[2, 3, 4, 5]", "list(range(2, 6))"),
		"no name":           strings.TrimPrefix(dartsV2, "DARTS_V2 = "),
		"called Genotype":   strings.ReplaceAll(dartsV2, "DARTS_V2", "Genotype"),
	} {
		if g, err := space.ParseGenotype(text); err != nil || g != want {
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
}

func TestGenotypeMistakes(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(dartsV2, old, with, 1) }
	for _, c := range []struct{ text, want string }{
		{"", "at character 1: found the end, want Genotype(...)"},
		{"Network(normal=[])", `at character 1: found "Network", want Genotype(...)`},
		{replace("sep_conv_3x3", "sep_conv_3x4"), `normal cell, node 2: unknown operation "sep_conv_3x4": known are max_pool_3x3, avg_pool_3x3, skip_connect, sep_conv_3x3, sep_conv_5x5, dil_conv_3x3, dil_conv_5x5; did you mean "sep_conv_3x3"?`},
		{replace("sep_conv_3x3", "none"), "no edges with the operation none"},
		{replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "normal cell, node 5: input 5; a node takes the cell's inputs 0 and 1 and earlier nodes, so 0 to 4"},
		{replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', -1)"), `found "-", want a whole number`},
		{replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)"), "node 5: input 0 is taken twice"},
		{replace(", ('dil_conv_3x3', 2)", ""), "normal has 7 pairs, want 8, two for each of 4 nodes"},
		{replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 2), ('skip_connect', 1)"), "normal has more than 8 pairs"},
		{replace("normal_concat=[2, 3, 4, 5]", "normal_concat=[2, 3, 4]"), "normal_concat does not name the nodes 2 to 5"},
		{replace("normal_concat=[2, 3, 4, 5]", "normal_concat=range(1, 6)"), "normal_concat does not name the nodes 2 to 5"},
		{replace(", normal_concat=[2, 3, 4, 5]", ""), "normal_concat is missing"},
		{replace("reduce=", "normal="), "normal is given twice"},
		{replace("reduce=", "reduction="), `found "reduction", want one of normal, normal_concat, reduce, reduce_concat`},
		{strings.TrimSuffix(dartsV2, ")"), `found the end, want ")"`},
		{dartsV2 + " x", `found "x", want the end`},
	} {
		_, err := space.ParseGenotype(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n%v does not say %q", c.text, err, c.want)
		}
	}
}

func TestCellEdgesAreNumberedNodeByNode(t *testing.T) {
	edges := space.DARTSCellEdges()
	want := []space.Edge{{0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}, {0, 4}, {1, 4}, {2, 4}, {3, 4}, {0, 5}, {1, 5}, {2, 5}, {3, 5}, {4, 5}}
	if diff := cmp.Diff(want, edges); diff != "" || len(edges) != space.DARTSEdges {
		t.Error(diff)
	}
}

// Every genotype of the space reads back from what it prints.
func TestGenotypesReadBack(t *testing.T) {
	cell := rapid.Custom(func(t *rapid.T) (c space.GenotypeCell) {
		for n := range c {
			inputs := rapid.Permutation([]int{0, 1, 2, 3, 4}[:n+2]).Draw(t, "inputs")
			for i := range c[n] {
				c[n][i] = space.GenotypeEdge{Op: rapid.SampledFrom(space.DARTSOperations()[1:]).Draw(t, "operation"), Input: inputs[i]}
			}
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		g := space.Genotype{Normal: cell.Draw(t, "normal"), Reduce: cell.Draw(t, "reduce")}
		if again, err := space.ParseGenotype(g.String()); err != nil || again != g {
			t.Fatalf("%v reads back as %v: %v", g, again, err)
		}
	})
}

func FuzzParseGenotype(f *testing.F) {
	f.Add(dartsV2)
	f.Add("Genotype(normal=[('skip_connect', 0)], normal_concat=list(list(range(2, 6))))")
	f.Add("Genotype = Genotype(")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := space.ParseGenotype(text)
		if err == nil {
			if again, err := space.ParseGenotype(g.String()); err != nil || again != g {
				t.Errorf("%q was read as %v, which reads back as %v: %v", text, g, again, err)
			}
			return
		}
		var where *space.GenotypeError
		if errors.As(err, &where) && (where.Position < 1 || where.Position > len(text)+1) {
			t.Errorf("%q: the mistake is at %d", text, where.Position)
		}
	})
}
