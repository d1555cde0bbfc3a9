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
