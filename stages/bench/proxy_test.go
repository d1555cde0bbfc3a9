package bench_test

import (
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/bench"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
)

func tinyProxy() bench.ProxyOptions {
	return bench.ProxyOptions{
		Space: "nasbench201", Channels: 2, Cells: 1, ImageSize: 8, Images: 4, Proxies: []string{"jacob_cov", "synflow"}, Architectures: 12, Alone: 2,
	}
}

func TestProxyReportIsFilled(t *testing.T) {
	r, err := bench.Proxy(t.Context(), stagetest.Runtime(t), tinyProxy())
	if err != nil {
		t.Fatal(err)
	}
	if r.Distinct < 1 || r.Distinct > 12 || !(r.Rate > 0) || !(r.AloneRate > 0) || r.Ratio != r.Rate/r.AloneRate || !(r.Difference < 1e-4) || r.Provider != "cpu" || r.Library == "" {
		t.Errorf("the report says %+v", r)
	}
	for want, change := range map[string]func(*bench.ProxyOptions){
		"0 architectures":      func(o *bench.ProxyOptions) { o.Architectures = 0 },
		"13 of them alone":     func(o *bench.ProxyOptions) { o.Alone = 13 },
		"has 15625":            func(o *bench.ProxyOptions) { o.Architectures = 20000 },
		"unknown search space": func(o *bench.ProxyOptions) { o.Space = "none" },
		"unknown value":        func(o *bench.ProxyOptions) { o.Proxies = []string{"sinflow"} },
	} {
		o := tinyProxy()
		change(&o)
		if _, err := bench.Proxy(t.Context(), stagetest.Runtime(t), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
