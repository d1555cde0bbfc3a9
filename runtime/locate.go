package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Source says where a library was found.
type Source string

// The sources, in the order in which they are tried.
const (
	FromSetting Source = "setting" // the path that was asked for
	FromSystem  Source = "system"  // a library folder of the system
	FromCache   Source = "cache"   // the user's cache, verified against its manifest
	FromNPM     Source = "npm"     // fetched just now
)

// located is a library that may be loaded.
type located struct {
	Path    string
	Version string // as the file states it; empty when it does not
	Source  Source
}

// finder looks for the library. Its fields are what the surroundings give, so that tests can give others.
type finder struct {
	platform platform
	setting  string
	folders  []string
	cache    cache
	fetch    func(ctx context.Context) error // fills the cache; nil forbids fetching
	log      func(string)
}

// newFinder returns a finder for checked settings on this machine.
func newFinder(s Settings) *finder {
	p := thisPlatform()
	f := &finder{
		platform: p,
		setting:  s.Library,
		folders:  p.systemFolders(os.Getenv),
		cache:    newCache(s.CacheDir, p, s.Log),
		log:      s.Log,
	}
	if !s.Offline {
		f.fetch = func(ctx context.Context) error { return fetchNPM(ctx, f.cache, s.Log) }
	}
	return f
}

// find returns the first usable library: the setting, the system, the cache, npm.
func (f *finder) find(ctx context.Context) (located, error) {
	if f.setting != "" {
		return f.fromSetting()
	}
	if lib, ok := f.fromSystem(); ok {
		return lib, nil
	}
	path, cached := f.cache.library()
	switch {
	case cached == nil:
		return located{Path: path, Version: Version, Source: FromCache}, nil
	case errors.Is(cached, fs.ErrNotExist):
		cached = nil // not there is no error worth telling
	default:
		f.log(fmt.Sprintf("the cached ONNX Runtime in %s is not usable: %v", f.cache.dir(), cached))
	}
	if f.fetch == nil {
		return located{}, &EnvironmentError{
			Problem: fmt.Sprintf("find ONNX Runtime %s: neither the system's library folders nor %s has a usable one, and fetching is off", Version, f.cache.dir()),
			Remedy:  remedyInstall(f.platform),
			Err:     cached,
		}
	}
	if err := f.fetch(ctx); err != nil {
		return located{}, err
	}
	path, err := f.cache.library()
	if err != nil {
		return located{}, &EnvironmentError{
			Problem: "read back the ONNX Runtime that was just fetched",
			Remedy:  "check that the disk is healthy and has free space, or " + remedySet(f.platform),
			Err:     err,
		}
	}
	return located{Path: path, Version: Version, Source: FromNPM}, nil
}

func (f *finder) fromSetting() (located, error) {
	problem := func(text string, err error) error {
		return &EnvironmentError{
			Problem: fmt.Sprintf("use the ONNX Runtime library that was asked for, %s: %s", f.setting, text),
			Remedy: fmt.Sprintf("set %s to the path of %s of ONNX Runtime %s for %s, or unset it to have it found or fetched",
				LibraryVariable, f.platform.library(), Version, f.platform),
			Err: err,
		}
	}
	path, err := filepath.Abs(f.setting)
	if err != nil {
		return located{}, problem("its absolute path", err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return located{}, problem("there is no such file", nil)
	case err != nil:
		return located{}, problem("it cannot be read", err)
	case info.IsDir():
		inside, ok := f.inFolder(path)
		if !ok {
			return located{}, problem(fmt.Sprintf("the folder holds no %s", f.platform.library()), nil)
		}
		path = inside
	}
	version, err := inspect(path, f.platform)
	if err != nil {
		return located{}, problem("it is not usable", err)
	}
	if version != "" && !sameMinor(version, Version) {
		return located{}, problem(fmt.Sprintf("it is version %s, %s is needed", version, Version), nil)
	}
	return located{Path: path, Version: version, Source: FromSetting}, nil
}

func (f *finder) fromSystem() (located, bool) {
	seen := map[string]bool{}
	for _, dir := range f.folders {
		path, ok := f.inFolder(dir)
		if !ok {
			continue
		}
		// /lib is often a link to /usr/lib, and the names in a folder link to each other: look at a file once.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if seen[path] {
			continue
		}
		seen[path] = true
		version, err := inspect(path, f.platform)
		switch {
		case err != nil:
			f.log(fmt.Sprintf("skipping %s: %v", path, err))
		case version == "":
			// Its version would be known only by loading it, and a library that turns out to be another one
			// has by then run its initializers in this process. Who wants it can name it.
			f.log(fmt.Sprintf("skipping %s: it does not state its version; set %s to use it", path, LibraryVariable))
		case !sameMinor(version, Version):
			f.log(fmt.Sprintf("skipping %s: it is version %s, %s is needed", path, version, Version))
		default:
			return located{Path: path, Version: version, Source: FromSystem}, true
		}
	}
	return located{}, false
}

func (f *finder) inFolder(dir string) (string, bool) {
	for _, name := range f.platform.names {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, true
		}
	}
	return "", false
}

// remedySet says which variable to set, for when the library cannot be had otherwise.
func remedySet(p platform) string {
	return fmt.Sprintf("install ONNX Runtime %s for %s and set %s to the path of its %s", Version, p, LibraryVariable, p.library())
}

// remedyInstall says what to install so that the library can be fetched.
func remedyInstall(p platform) string {
	if p.folder == "" {
		return remedySet(p)
	}
	return "install npm (it comes with Node.js) and connect to the network so that the library can be fetched once, or " + remedySet(p)
}
