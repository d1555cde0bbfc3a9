package compare

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// finding is an architecture with where it comes from.
type finding struct {
	artifact pipeline.Artifact
	stage    string // of the document, without the labels of a variant
	method   string // by its labels alone
	seed     string
	content  *result.Architecture
	space    *space.Space
	chosen   space.Architecture
	name     string // of the method that it counts for
	constant bool   // of a stage without seeds beside others that have some: it counts for each of these
}

// unfit are the characters that names of metrics do not have.
var unfit = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// base returns the id that a document gives the stage of a variant.
func base(stage string) string {
	id, _, _ := strings.Cut(stage, "@")
	return id
}

// place returns the method and the seed of an artifact by its labels.
func (s *Settings) place(a pipeline.Artifact) (method, seed string) {
	var parts []string
	for _, l := range a.Labels {
		switch {
		case l.Axis == s.PairBy:
			seed = l.Value
		case s.Method == "" || l.Axis == s.Method:
			parts = append(parts, l.Value)
		}
	}
	if len(parts) == 0 {
		parts = []string{base(a.Stage)}
	}
	return unfit.ReplaceAllString(strings.Join(parts, "_"), "_"), seed
}

// findings reads the architectures and names their methods. A method is named by its labels. Where several stages of the
// document have architectures for one method, such as a search and the ranking of its finalists, the last one in the order of
// the inputs has the name, and the others are methods of their own: NAME_STAGE. What a stage without a seed has, such as the
// largest architecture of the space, is found again with every seed of the others. Plain networks may stand beside the
// architectures of one space.
func (s *Settings) findings(list []pipeline.Artifact) ([]finding, error) {
	if len(list) == 0 {
		return nil, errors.New("compare: there is no architecture on input architectures")
	}
	var out []finding
	stages := map[string][]string{} // by method, in order
	for _, a := range list {
		content, err := result.ReadArchitecture(a.Path)
		if err != nil {
			return nil, err
		}
		f := finding{artifact: a, stage: base(a.Stage), content: content}
		if f.space, f.chosen, err = content.Parse(); err != nil {
			return nil, fmt.Errorf("compare: the architecture of stage %s: %w", a.Stage, err)
		}
		if i := slices.IndexFunc(out, func(o finding) bool { return o.content.Space != content.Space && !o.space.Whole }); i >= 0 && !f.space.Whole {
			return nil, fmt.Errorf("compare: stage %s searched the space %s and stage %s the space %s; compare architectures of one space",
				out[i].artifact.Stage, out[i].space.Name, a.Stage, f.space.Name)
		}
		f.method, f.seed = s.place(a)
		if !slices.Contains(stages[f.method], f.stage) {
			stages[f.method] = append(stages[f.method], f.stage)
		}
		out = append(out, f)
	}
	for i := range out {
		f := &out[i]
		f.name = f.method
		if of := stages[f.method]; f.stage != of[len(of)-1] {
			f.name += "_" + unfit.ReplaceAllString(f.stage, "_")
		}
		for _, o := range out[:i] {
			if o.name == f.name && o.seed == f.seed {
				return nil, &pipeline.SettingError{Path: "method", Err: fmt.Errorf(
					"stages %s and %s have both found an architecture for method %s and %s %q; name the axes that tell them apart under method and pair_by",
					o.artifact.Stage, f.artifact.Stage, f.name, s.PairBy, f.seed)}
			}
		}
	}
	return everySeed(out), nil
}

// everySeed gives what has no seed all that there are.
func everySeed(found []finding) []finding {
	all := seeds(found)
	var out []finding
	for _, f := range found {
		if f.seed != "" || slices.Equal(all, []string{""}) {
			out = append(out, f)
			continue
		}
		for _, seed := range all {
			f.seed, f.constant = seed, true
			out = append(out, f)
		}
	}
	return out
}

// seeds returns the labels on the axis of the seeds, in the order of the document; one that is empty where no stage has a seed.
func seeds(found []finding) []string {
	var out []string
	for _, f := range found {
		if f.seed != "" && !slices.Contains(out, f.seed) {
			out = append(out, f.seed)
		}
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// searched returns the space that the findings are of: that of the first that is no plain network, if there is one.
func searched(found []finding) *space.Space {
	for _, f := range found {
		if !f.space.Whole {
			return f.space
		}
	}
	return found[0].space
}

// names returns the names of the methods in the order of the document, one that is an earlier step of another before it.
func names(found []finding) []string {
	var methods, out []string
	for _, f := range found {
		if !slices.Contains(methods, f.method) {
			methods = append(methods, f.method)
		}
	}
	for _, m := range methods {
		for _, f := range found {
			if f.method == m && !slices.Contains(out, f.name) {
				out = append(out, f.name)
			}
		}
	}
	return out
}

// checkPairs finds pairs of methods that there are not.
func (s *Settings) checkPairs(known []string) error {
	var errs []error
	for i, p := range s.Pairs {
		for k, name := range p {
			if !slices.Contains(known, name) {
				errs = append(errs, &pipeline.SettingError{
					Path: fmt.Sprintf("pairs[%d][%d]", i, k), Known: known,
					Err: fmt.Errorf("no method is named %q; the methods are %s", name, strings.Join(known, ", ")),
				})
			}
		}
	}
	return errors.Join(errs...)
}
