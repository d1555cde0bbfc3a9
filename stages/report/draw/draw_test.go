package draw_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/report/draw"
	"github.com/plateau-nas/plateau/stages/space"
)

func TestText(t *testing.T) {
	got := draw.Text(space.NASBench201(), space.Architecture{3, 1, 2, 0, 3, 4})
	const want = `in    1     2     out
├────▶●               nor_conv_3x3
├─────│────▶●         skip_connect
│     ├────▶●         nor_conv_1x1
└┄┄┄┄┄│┄┄┄┄┄│┄┄┄┄×│   none
      └─────│────▶●   nor_conv_3x3
            └────▶●   avg_pool_3x3
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drawing differs (-want +got):\n%s\n%s", diff, got)
	}
}

func TestTextOfAGenotype(t *testing.T) {
	s := space.DARTS()
	a, err := s.Parse("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	const want = `normal cell
in0   in1   2     3     4     5
├─────│────▶●                     sep_conv_3x3
│     ├────▶●                     sep_conv_3x3
├─────│─────│────▶●               sep_conv_3x3
│     ├─────│────▶●               sep_conv_3x3
├─────│─────│──────────▶●         skip_connect
│     └─────│──────────▶●         sep_conv_3x3
└───────────│────────────────▶●   skip_connect
            └────────────────▶●   dil_conv_3x3

reduce cell
in0   in1   2     3     4     5
├─────│────▶●                     max_pool_3x3
│     ├────▶●                     max_pool_3x3
│     ├─────│────▶●               max_pool_3x3
│     │     ├────▶●               skip_connect
└─────│─────│──────────▶●         max_pool_3x3
      │     ├──────────▶●         skip_connect
      └─────│────────────────▶●   max_pool_3x3
            └────────────────▶●   skip_connect
`
	got := draw.Text(s, a)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drawing differs (-want +got):\n%s\n%s", diff, got)
	}
	svg := draw.SVG(s, a)
	for what, n := range map[string]int{"<circle": 12, "<rect": 16, "normal cell": 1, "reduce cell": 1, "dil 3×3": 1, "max 3×3": 5, "skip</text>": 5, "sep 3×3": 5} {
		if got := strings.Count(svg, what); got != n {
			t.Errorf("%q comes %d times, want %d", what, got, n)
		}
	}
}

func TestNothingIsDrawnOfWhatIsNoArchitecture(t *testing.T) {
	s := space.NASBench201()
	for _, a := range []space.Architecture{nil, {1, 2, 3}, {0, 0, 0, 0, 0, 5}} {
		if text, svg := draw.Text(s, a), draw.SVG(s, a); text != "" || svg != "" {
			t.Errorf("of %v is drawn\n%s\n%s", a, text, svg)
		}
	}
}

func TestSVGIsWellFormedAndNamesEveryOperation(t *testing.T) {
	s := space.NASBench201()
	rapid.Check(t, func(t *rapid.T) {
		a := space.Architecture(rapid.SliceOfN(rapid.IntRange(0, 4), 6, 6).Draw(t, "a"))
		svg := draw.SVG(s, a)
		var texts []string
		inText := false
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, svg)
			}
			switch token := token.(type) {
			case xml.StartElement:
				inText = token.Name.Local == "text"
			case xml.CharData:
				if inText {
					texts = append(texts, string(token))
				}
			case xml.EndElement:
				inText = false
			}
		}
		want := []string{"in", "1", "2", "out"}
		for _, op := range a {
			want = append(want, draw.Label(s.Operations[op]))
		}
		if diff := cmp.Diff(want, texts); diff != "" {
			t.Fatalf("texts differ (-want +got):\n%s", diff)
		}
		if !strings.Contains(svg, "<title>"+s.Format(a)+"</title>") {
			t.Fatal("the drawing does not say what it shows")
		}
	})
}

func TestOperationsHaveColorsOfTheirOwn(t *testing.T) {
	seen := map[string]string{}
	for _, op := range space.NASBench201().Operations {
		if other, ok := seen[draw.Color(op)]; ok {
			t.Errorf("%s and %s have the same color", op, other)
		}
		seen[draw.Color(op)] = op
	}
}
