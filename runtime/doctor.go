package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"
)

// Status says how a check of Doctor went.
type Status string

// The statuses, from best to worst.
const (
	StatusOK   Status = "ok"
	StatusWarn Status = "warn" // works, or will, but should be known
	StatusFail Status = "fail" // nothing runs like this
)

// Check is one thing that Doctor looked at.
type Check struct {
	Name   string `json:"name"` // library, provider cpu, cores, memory, cache, npm
	Status Status `json:"status"`
	Detail string `json:"detail"`           // what was found
	Remedy string `json:"remedy,omitempty"` // what to do about a warning or failure
	// Values holds what was found for programs; sizes are in bytes.
	Values map[string]any `json:"values,omitempty"`
}

// Report is what Doctor found.
type Report struct {
	Status Status  `json:"status"` // the worst of the checks
	Checks []Check `json:"checks"`
}

// DoctorSettings says what Doctor looks at.
type DoctorSettings struct {
	Settings
	// Fetch lets Doctor fetch the library where it is not there yet.
	Fetch bool
}

// Doctor looks at everything this package needs and says of each whether it is fine. It changes nothing, unless
// told to fetch, and reports what is wrong instead of returning an error.
func Doctor(ctx context.Context, settings DoctorSettings) Report {
	var r Report
	settings.Offline = !settings.Fetch
	checked, err := settings.check()
	if err != nil {
		c := failed("settings", err)
		if c.Remedy == "" {
			c.Remedy = "correct the setting"
		}
		r.add(c)
		return r
	}
	npm := checkNPM(ctx)
	lib, check := checkLibrary(ctx, checked, npm.Status == StatusOK)
	r.add(check)
	if check.Status == StatusOK {
		for _, provider := range Providers()[1:] {
			r.add(checkProvider(ctx, checked, lib, provider))
		}
		if err := process.release(); err != nil {
			r.add(failed("library", err))
		}
	}
	r.add(checkCores(checked))
	r.add(checkMemory())
	r.add(checkCache(checked.CacheDir))
	if npm.Status != StatusOK && check.Status == StatusOK {
		// npm is needed only to fetch the library, and that is there.
		npm.Status, npm.Remedy = StatusOK, ""
	}
	r.add(npm)
	return r
}

// Err returns nil unless a check failed, and otherwise an *EnvironmentError for the first that did.
func (r Report) Err() error {
	for _, c := range r.Checks {
		if c.Status == StatusFail {
			return &EnvironmentError{Problem: c.Name + ": " + c.Detail, Remedy: c.Remedy}
		}
	}
	return nil
}

// WriteText writes the report for people, one check a line with its remedy below.
func (r Report) WriteText(w io.Writer) error {
	width := 0
	for _, c := range r.Checks {
		width = max(width, len(c.Name))
	}
	var b strings.Builder
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%-4s  %-*s  %s\n", c.Status, width, c.Name, c.Detail)
		if c.Remedy != "" {
			fmt.Fprintf(&b, "%-4s  %-*s  -> %s\n", "", width, "", c.Remedy)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) add(c Check) {
	r.Checks = append(r.Checks, c)
	rank := map[Status]int{StatusOK: 1, StatusWarn: 2, StatusFail: 3}
	if rank[c.Status] > rank[r.Status] {
		r.Status = c.Status
	}
}

// failed turns an error into a check.
func failed(name string, err error) Check {
	c := Check{Name: name, Status: StatusFail, Detail: err.Error()}
	if e, ok := errors.AsType[*EnvironmentError](err); ok {
		c.Remedy = e.Remedy
		c.Detail = (&EnvironmentError{Problem: e.Problem, Err: e.Err}).Error()
	}
	return c
}

// checkLibrary finds and loads the library. It stays loaded for the provider checks when the check is fine.
func checkLibrary(ctx context.Context, s Settings, npm bool) (located, Check) {
	finder := newFinder(s)
	lib, err := finder.find(ctx)
	if err != nil {
		_, cached := finder.cache.library()
		if s.Offline && s.Library == "" && npm && finder.platform.folder != "" && errors.Is(cached, fs.ErrNotExist) {
			return lib, Check{
				Name:   "library",
				Status: StatusWarn,
				Detail: fmt.Sprintf("ONNX Runtime %s is not here yet; the first run fetches it with npm (100 MB) into %s", Version, finder.cache.dir()),
				Remedy: fmt.Sprintf("nothing, where the network is reachable; otherwise set %s to the path of its %s", LibraryVariable, finder.platform.library()),
				Values: map[string]any{"wanted": Version},
			}
		}
		return lib, failed("library", err)
	}
	if lib.Version, err = process.acquire(lib); err != nil {
		return lib, failed("library", err)
	}
	return lib, Check{
		Name:   "library",
		Status: StatusOK,
		Detail: fmt.Sprintf("ONNX Runtime %s, %s (%s)", lib.Version, lib.Path, lib.Source),
		Values: map[string]any{"path": lib.Path, "version": lib.Version, "source": lib.Source, "wanted": Version},
	}
}

// checkProvider tries a provider. Its absence is a failure only where it was asked for.
func checkProvider(ctx context.Context, s Settings, lib located, provider string) Check {
	c := Check{Name: "provider " + provider, Status: StatusOK, Detail: "usable", Values: map[string]any{"usable": true}}
	var err error
	if provider == ProviderCPU {
		err = useProvider(provider)
	} else {
		err = tryProvider(ctx, s.Prober, lib.Path, provider)
	}
	if err == nil {
		return c
	}
	c.Detail = "not usable: " + err.Error()
	c.Values = map[string]any{"usable": false}
	switch {
	case s.Provider == provider || provider == ProviderCPU:
		c.Status, c.Remedy = StatusFail, "choose another provider, or "+providerRemedy(provider)
	case provider != ProviderWebGPU && hasProviderLibrary(lib.Path, provider):
		c.Status, c.Remedy = StatusWarn, providerRemedy(provider)
	}
	return c
}

func checkCores(s Settings) Check {
	return Check{
		Name:   "cores",
		Status: StatusOK,
		Detail: fmt.Sprintf("%d cores, %d threads an operator", goruntime.NumCPU(), s.Threads),
		Values: map[string]any{"cores": goruntime.NumCPU(), "threads": s.Threads},
	}
}

func checkMemory() Check {
	total, available, err := memory()
	if err != nil {
		return Check{Name: "memory", Status: StatusWarn, Detail: fmt.Sprintf("not known: %v", err)}
	}
	c := Check{
		Name:   "memory",
		Status: StatusOK,
		Detail: fmt.Sprintf("%s, %s available", size(total), size(available)),
		Values: map[string]any{"total": total, "available": available},
	}
	if available == 0 {
		c.Detail = size(total)
		delete(c.Values, "available")
	} else if available < 1<<30 {
		c.Status, c.Remedy = StatusWarn, "free memory: a search on small images takes about 1 GiB"
	}
	return c
}

func checkCache(dir string) Check {
	c := Check{Name: "cache", Status: StatusOK, Values: map[string]any{"path": dir, "writable": true}}
	place := dir // or the folder in which it would be made
	for {
		info, err := os.Stat(place)
		if err == nil && !info.IsDir() {
			c.Status, c.Detail, c.Values["writable"] = StatusFail, fmt.Sprintf("%s: %s is not a folder", dir, place), false
			c.Remedy = fmt.Sprintf("move that file away, or name another folder with %s", CacheVariable)
			return c
		}
		if err == nil || filepath.Dir(place) == place {
			break
		}
		place = filepath.Dir(place)
	}
	f, err := os.CreateTemp(place, ".plateau-doctor-*")
	if err != nil {
		c.Status, c.Detail, c.Values["writable"] = StatusFail, fmt.Sprintf("%s is not writable: %v", dir, err), false
		c.Remedy = fmt.Sprintf("make it writable, or name another folder with %s", CacheVariable)
		return c
	}
	f.Close()
	os.Remove(f.Name())
	free, err := freeSpace(place)
	if err != nil {
		c.Detail = fmt.Sprintf("%s, writable", dir)
		return c
	}
	c.Detail = fmt.Sprintf("%s, writable, %s free", dir, size(free))
	c.Values["free"] = free
	if free < 1<<30 {
		c.Status, c.Remedy = StatusWarn, fmt.Sprintf("free space on that disk, or name another folder with %s", CacheVariable)
	}
	return c
}

func checkNPM(ctx context.Context) Check {
	missing := Check{
		Name:   "npm",
		Status: StatusWarn,
		Detail: "not installed",
		Remedy: "install npm (it comes with Node.js); it is needed only to fetch ONNX Runtime",
	}
	path, err := exec.LookPath("npm")
	if err != nil {
		return missing
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	ownGroup(cmd)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		missing.Detail = fmt.Sprintf("%s does not run: %v", path, err)
		return missing
	}
	version := strings.TrimSpace(string(out))
	return Check{
		Name:   "npm",
		Status: StatusOK,
		Detail: fmt.Sprintf("%s, %s", version, path),
		Values: map[string]any{"path": path, "version": version},
	}
}

// size writes a number of bytes for people.
func size(bytes uint64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
}
