package kernels

import (
	"slices"
	"strings"
	"testing"
)

// The embedded table is whole: every type that it names is one, versions of an operator do not overlap except for what the
// published table has so, and operators that functions consist of are in it.
func TestTableIsSound(t *testing.T) {
	table, err := tableOf(CUDA)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.kernels) < 138 {
		t.Errorf("only %d operators", len(table.kernels))
	}
	known := func(name string) bool {
		// The schema that this module has knows fewer types than newer versions of ONNX.
		return isElementType(name) || slices.Contains([]string{"int4", "uint4", "float4e2m1"}, name) || strings.HasPrefix(name, "float8")
	}
	for op, k := range table.kernels {
		for i, v := range k.versions {
			for p, types := range v.types {
				for _, typ := range types {
					if !known(typ) {
						t.Errorf("%s, parameter %s: %q is no element type", op, p, typ)
					}
				}
			}
			for _, w := range k.versions[:i] {
				if v.first <= w.last && w.first <= v.last && op != "ThresholdedRelu" {
					t.Errorf("%s: versions %d-%d and %d-%d overlap", op, w.first, w.last, v.first, v.last)
				}
			}
		}
		newest := k.versions[0]
		for _, p := range slices.Concat(k.inputs, k.outputs) {
			p = strings.TrimSuffix(p, "*")
			if _, ok := newest.types[p]; !ok && !isElementType(p) && !slices.Contains([]string{"Pad", "Resize", "DequantizeLinear", "Upsample"}, op) {
				t.Errorf("%s: nothing is said of %q", op, p)
			}
		}
	}
	for op, fs := range table.functions {
		for _, f := range fs {
			for _, part := range f.body {
				if _, ok := table.kernels[part]; !ok {
					t.Errorf("%s consists of %s, which has no kernel", op, part)
				}
			}
		}
	}
	for op := range table.limits {
		if _, ok := table.kernels[op]; !ok {
			t.Errorf("%s is limited, but has no kernel", op)
		}
	}
}

func TestParseNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"# fine\nkernel Abs":                       "line 2",
		"kernel Abs: 13+ T=float":                  "not a new OPERATOR(inputs)outputs",
		"kernel Abs(T)T: 13+\nkernel Abs(T)T: 13+": "line 2",
		"kernel Abs(T)T: 13+ T=float;":             "versions without content",
		"kernel Abs(T)T: thirteen":                 "not a range of versions",
		"kernel Abs(T)T: 7-6":                      "not a range of versions",
		"kernel Abs(T)T: 7+-9":                     "not a range of versions",
		"kernel Abs(T)T: 13+ float":                "not PARAMETER=types",
		"not Abs x: why":                           "not OPERATOR ATTRIBUTE=integer",
		"function Celu: Elu":                       "not a range of versions",
		"anything else: yes":                       `the word "anything" is not known`,
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v does not say %q", text, err, want)
		}
	}
}
