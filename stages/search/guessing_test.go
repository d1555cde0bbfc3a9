package search

import (
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/internal/stagetest"
)

func TestASearchThatGuessesSaysSo(t *testing.T) {
	for _, c := range []struct {
		loss    float64
		classes int
		guesses bool
	}{{2.302, 10, false}, {2.303, 10, true}, {1.3, 4, false}, {1.39, 4, true}, {9, 4, true}} {
		if said := guessing(c.loss, c.classes); (said != "") != c.guesses {
			t.Errorf("a loss of %v among %d classes: %q", c.loss, c.classes, said)
		}
	}
	// Weights that are as good as untrained are surer of the wrong class than guessing is.
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	res := search(t, in, "algorithm: random\ncandidates: 4\nfinalists: 1\nneighborhood: {radius: 0}\nepochs: 1\nweights: {at: path, warm_up: 0, learning_rate: 1e-9, learning_rate_min: 0}").Must(t)
	if said := res.Logged("warn"); !strings.Contains(said, "no better than guessing among 10 classes (2.303)") {
		t.Errorf("the warnings are %q", said)
	}
}
