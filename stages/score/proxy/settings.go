package proxy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/score"
)

// Settings say which proxies are computed and on what.
type Settings struct {
	Proxies   []string `yaml:"proxies" enum:"grad_norm,snip,grasp,synflow,jacob_cov,smoothness,fisher,plain,naswot,swap,swap_regularized,zico,expressivity,progressivity,trainability,zen,parameters,multiply_adds" doc:"The proxies. The first is the score; all are metrics. For each, the Spearman correlation with the CIFAR-100 accuracy in NAS-Bench-201 that was measured on 32 images of CIFAR-10: naswot 0.83, swap 0.80, zico 0.79, progressivity 0.77, synflow 0.76, jacob_cov 0.75, expressivity 0.73, zen 0.73, parameters 0.73, multiply_adds 0.73, grad_norm 0.38, snip 0.37, trainability 0.36, grasp 0.08, fisher -0.05; plain is negative (-0.14 to -0.5), so more of it is worse, and so is smoothness as an own score (-0.60), which is for sums of ranks over neighborhoods. swap_regularized depends on swap_mu and swap_sigma. Those of AZ-NAS (expressivity, progressivity, trainability) need cells that follow each other, which the darts space does not have."`
	Images    int      `yaml:"images" doc:"Training images in the batch that gradients are taken on."`
	Log       bool     `yaml:"log" doc:"Score by sign(v) log(1 + |v|) of the proxy's value v, so that a neighborhood's mean is not that of its largest member, as with synflow; metrics stay as they are."`
	SWAPMu    float64  `yaml:"swap_mu" doc:"For swap_regularized: the number of parameters in thousands around which networks are preferred."`
	SWAPSigma float64  `yaml:"swap_sigma" doc:"For swap_regularized: how far from there, as in exp(-(parameters - mu)^2 / sigma); above 0."`
}

// DefaultSettings returns synflow, the best single proxy of Abdelfattah et al. (2021) on NAS-Bench-201, as a logarithm.
func DefaultSettings() Settings { return Settings{Proxies: []string{Synflow}, Images: 64, Log: true} }

// Validate reports every mistake, each as a *pipeline.SettingError whose path begins with path.
func (st Settings) Validate(path string) error {
	var errs []error
	at := func(setting string) string { return strings.TrimPrefix(path+"."+setting, ".") }
	check := func(ok bool, setting, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: at(setting), Err: fmt.Errorf(format, args...)})
		}
	}
	check(len(st.Proxies) > 0, "proxies", "no proxy is given; name at least one of %s", strings.Join(Names(), ", "))
	for i, p := range st.Proxies {
		setting := fmt.Sprintf("proxies[%d]", i)
		if !slices.Contains(Names(), p) {
			errs = append(errs, pipeline.UnknownValue(at(setting), p, Names()))
		}
		check(!slices.Contains(st.Proxies[:i], p), setting, "%s is named twice", p)
	}
	check(st.Images >= 2, "images", "%d images; batch normalization needs at least 2", st.Images)
	if slices.Contains(st.Proxies, SWAPRegularized) {
		check(st.SWAPMu > 0, "swap_mu", "%g thousand parameters; swap_regularized needs a number above 0", st.SWAPMu)
		check(st.SWAPSigma > 0, "swap_sigma", "%g; swap_regularized needs a number above 0", st.SWAPSigma)
	} else {
		check(st.SWAPMu == 0, "swap_mu", "no proxy uses it; remove it, or name swap_regularized under proxies")
		check(st.SWAPSigma == 0, "swap_sigma", "no proxy uses it; remove it, or name swap_regularized under proxies")
	}
	return errors.Join(errs...)
}

// result makes a result of the proxies' values.
func (st Settings) result(values map[string]float64) score.Result {
	r := score.Result{Score: values[st.Proxies[0]], Metrics: map[string]float64{}}
	if st.Log {
		r.Score = math.Copysign(math.Log1p(math.Abs(r.Score)), r.Score)
	}
	for _, name := range st.Proxies {
		r.Metrics[name] = values[name]
	}
	return r
}
