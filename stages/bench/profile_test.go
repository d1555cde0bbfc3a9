package bench_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/stages/bench"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
)

func TestProfileAddsUpByOperator(t *testing.T) {
	const text = `[
		{"cat": "Session", "name": "model_run", "dur": 9000, "args": {}},
		{"cat": "Node", "name": "a_kernel_time", "dur": 1000, "args": {"op_name": "Conv"}},
		{"cat": "Node", "name": "a_kernel_time", "dur": 3000, "args": {"op_name": "Conv"}},
		{"cat": "Node", "name": "a_kernel_time", "dur": 9000, "args": {"op_name": "Conv"}},
		{"cat": "Node", "name": "b_kernel_time", "dur": 1000, "args": {"op_name": "Conv"}},
		{"cat": "Node", "name": "c_kernel_time", "dur": 1000, "args": {"op_name": "Add"}},
		{"cat": "Node", "name": "c_fence_before", "dur": 7000, "args": {"op_name": "Add"}}]`
	got, err := bench.ParseProfile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []bench.OperatorTime{{Operator: "Conv", Nodes: 2, Milliseconds: 4, Share: 0.8}, {Operator: "Add", Nodes: 1, Milliseconds: 1, Share: 0.2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the operators differ (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{"[]": "no operators", "{": "reading a profile"} {
		if _, err := bench.ParseProfile([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

// Where it is asked for, the report tells which operators both graphs have.
func TestReportHasProfiles(t *testing.T) {
	o := tiny()
	o.Profile = true
	r, err := bench.Supernet(t.Context(), stagetest.Runtime(t), o)
	if err != nil {
		t.Fatal(err)
	}
	for what, profile := range map[string][]bench.OperatorTime{"training": r.TrainProfile, "forward": r.ForwardProfile} {
		sum, normalizations := 0.0, 0
		for _, p := range profile {
			sum += p.Share
			if p.Operator == "BatchNormalization" {
				normalizations = p.Nodes
			}
		}
		if sum < 0.999 || sum > 1.001 || normalizations == 0 {
			t.Errorf("%s: the shares add up to %v, %d normalizations", what, sum, normalizations)
		}
	}
}
