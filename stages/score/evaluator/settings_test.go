package evaluator

import "testing"

// Weights of a stage of kind weights take the place of those of a search, for whoever asks what an evaluator lacks.
func TestCheckInputsTakesTrainedWeights(t *testing.T) {
	s := DefaultSettings()
	s.Kind = Sharing
	for _, test := range []struct {
		ports []string
		fits  bool
	}{
		{[]string{"dataset", "path", "parameters", "weights"}, true},
		{[]string{"dataset", "path", "parameters", "trained"}, true},
		{[]string{"dataset", "path", "parameters"}, false},
		{[]string{"dataset", "path", "trained"}, false},
	} {
		has := map[string]bool{}
		for _, p := range test.ports {
			has[p] = true
		}
		if err := s.CheckInputs("evaluator", func(port string) bool { return has[port] }); (err == nil) != test.fits {
			t.Errorf("with %v: %v", test.ports, err)
		}
	}
}
