package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func copyFile(t *testing.T, from string) string {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	to := filepath.Join(t.TempDir(), filepath.Base(from))
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}

func doctor(t *testing.T, change func(*runtime.DoctorSettings)) (runtime.Report, map[string]runtime.Check) {
	t.Helper()
	settings := runtime.DoctorSettings{Settings: runtimetest.Settings()}
	settings.Library = runtimetest.Open(t).Library()
	change(&settings)
	report := runtime.Doctor(t.Context(), settings)
	checks := map[string]runtime.Check{}
	for _, c := range report.Checks {
		checks[c.Name] = c
		if c.Status == runtime.StatusFail && c.Remedy == "" {
			t.Errorf("the check %s fails without a remedy: %s", c.Name, c.Detail)
		}
	}
	return report, checks
}

func TestDoctorOfAWorkingInstallation(t *testing.T) {
	report, checks := doctor(t, func(s *runtime.DoctorSettings) { s.CacheDir = filepath.Join(t.TempDir(), "not", "made", "yet") })
	if report.Status == runtime.StatusFail || report.Err() != nil {
		t.Errorf("it is %s: %v", report.Status, report.Err())
	}
	var names []string
	for _, c := range report.Checks {
		names = append(names, c.Name)
	}
	want := []string{"library", "provider cpu", "provider cuda", "provider tensorrt", "provider webgpu", "cores", "memory", "cache", "npm"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	library := checks["library"]
	if library.Values["version"] != runtime.Version || library.Values["source"] != runtime.FromSetting {
		t.Errorf("the library is %v", library.Values)
	}
	if checks["provider cpu"].Values["usable"] != true || checks["provider cuda"].Status != runtime.StatusOK {
		t.Errorf("the providers are %v, %v", checks["provider cpu"], checks["provider cuda"])
	}
	if checks["cache"].Values["writable"] != true || !strings.Contains(checks["cache"].Detail, "free") {
		t.Errorf("the cache is %v", checks["cache"])
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(text.String(), "\n"); lines < len(names) || !strings.Contains(text.String(), "ok    provider cpu       usable\n") {
		t.Errorf("the text is\n%s", text.String())
	}
	encoded, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var decoded struct {
		Status string
		Checks []struct{ Name, Status, Detail string }
	}
	if err := json.Unmarshal(encoded, &decoded); err != nil || len(decoded.Checks) != len(names) {
		t.Errorf("the JSON is %s, %v", encoded, err)
	}
}

func TestDoctorNamesWhatFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*testing.T, *runtime.DoctorSettings)
		check  string
		status runtime.Status
		detail string
	}{
		"missing library":  {func(t *testing.T, s *runtime.DoctorSettings) { s.Library = "/nowhere/lib.so" }, "library", runtime.StatusFail, "there is no such file"},
		"wrong setting":    {func(t *testing.T, s *runtime.DoctorSettings) { s.Provider = "gpu" }, "settings", runtime.StatusFail, "unknown provider"},
		"provider asked":   {func(t *testing.T, s *runtime.DoctorSettings) { s.Provider = "cuda" }, "provider cuda", runtime.StatusFail, "not usable"},
		"cache is a file":  {func(t *testing.T, s *runtime.DoctorSettings) { s.CacheDir = filepath.Join(file, "cache") }, "cache", runtime.StatusFail, "is not a folder"},
		"nothing is there": {func(t *testing.T, s *runtime.DoctorSettings) { s.Library, s.CacheDir = "", t.TempDir(); noSystem(t) }, "library", runtime.StatusWarn, "the first run fetches it"},
		"nor is npm": {func(t *testing.T, s *runtime.DoctorSettings) {
			s.Library, s.CacheDir = "", t.TempDir()
			noSystem(t)
			t.Setenv("PATH", t.TempDir())
		}, "library", runtime.StatusFail, "fetching is off"},
		"npm is gone but not needed": {func(t *testing.T, _ *runtime.DoctorSettings) { t.Setenv("PATH", t.TempDir()) }, "npm", runtime.StatusOK, "not installed"},
	} {
		t.Run(name, func(t *testing.T) {
			report, checks := doctor(t, func(s *runtime.DoctorSettings) { c.change(t, s) })
			got := checks[c.check]
			if got.Status != c.status || !strings.Contains(got.Detail, c.detail) {
				t.Errorf("the check %s is %q, expected %s with %q", c.check, got, c.status, c.detail)
			}
			_, environment := errors.AsType[*runtime.EnvironmentError](report.Err())
			if failed := c.status == runtime.StatusFail; environment != failed {
				t.Errorf("the report's error is %v", report.Err())
			}
		})
	}
}

// noSystem skips a test where the system has the library, so that it cannot be missing.
func noSystem(t *testing.T) {
	t.Helper()
	settings := runtimetest.Settings()
	settings.Library, settings.CacheDir, settings.Offline = "", t.TempDir(), true
	settings.Log = nil
	if rt, err := runtime.Open(context.Background(), settings); err == nil {
		rt.Close()
		t.Skip("this system has ONNX Runtime installed")
	}
}
