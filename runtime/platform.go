package runtime

import (
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
)

// platform is what differs between operating systems and processors in finding the library.
type platform struct {
	os, arch string
	// folder is where the npm package keeps this platform's files; empty where the package has none.
	folder string
	// files are taken out of that folder; the first one is the library itself, the others are what it loads.
	files []string
	// names are the file names under which a system installation has the library, best first.
	names []string
}

// thisPlatform returns the platform that the program runs on.
func thisPlatform() platform { return platformOf(goruntime.GOOS, goruntime.GOARCH) }

func platformOf(goos, goarch string) platform {
	p := platform{os: goos, arch: goarch}
	switch goos {
	case "darwin":
		p.names = []string{"libonnxruntime." + Version + ".dylib", "libonnxruntime.1.dylib", "libonnxruntime.dylib"}
	case "windows":
		p.names = []string{"onnxruntime.dll"}
	default:
		p.names = []string{"libonnxruntime.so." + Version, "libonnxruntime.so.1", "libonnxruntime.so"}
	}
	const bin = "package/bin/napi-v6/"
	// The Windows library loads DirectML and, for WebGPU, the shader compiler from its own folder.
	windows := []string{"onnxruntime.dll", "DirectML.dll", "dxcompiler.dll", "dxil.dll"}
	switch goos + "/" + goarch {
	case "linux/amd64":
		p.folder, p.files = bin+"linux/x64", []string{"libonnxruntime.so.1"}
	case "linux/arm64":
		p.folder, p.files = bin+"linux/arm64", []string{"libonnxruntime.so.1"}
	case "darwin/arm64":
		p.folder, p.files = bin+"darwin/arm64", []string{"libonnxruntime." + Version + ".dylib"}
	case "windows/amd64":
		p.folder, p.files = bin+"win32/x64", windows
	case "windows/arm64":
		p.folder, p.files = bin+"win32/arm64", windows
	}
	return p
}

func (p platform) String() string { return p.os + "/" + p.arch }

// library is the file name to look for in messages and in a folder that was named by the user.
func (p platform) library() string { return p.names[len(p.names)-1] }

// providerLibrary is the file that a build with a further provider keeps beside the library.
func (p platform) providerLibrary(provider string) string {
	if p.os == "windows" {
		return "onnxruntime_providers_" + provider + ".dll"
	}
	return "libonnxruntime_providers_" + provider + ".so"
}

// systemFolders lists where the dynamic loader, package managers and the usual hand installations keep libraries.
func (p platform) systemFolders(getenv func(string) string) []string {
	var dirs []string
	add := func(list ...string) {
		for _, d := range list {
			// A relative folder in a search path means the current directory of whoever set it; skip it.
			if filepath.IsAbs(d) {
				dirs = append(dirs, filepath.Clean(d))
			}
		}
	}
	split := func(variable string) []string {
		return strings.Split(getenv(variable), string(os.PathListSeparator))
	}
	switch p.os {
	case "windows":
		add(split("PATH")...)
	case "darwin":
		add(split("DYLD_LIBRARY_PATH")...)
		add("/opt/homebrew/lib", "/usr/local/lib", "/usr/lib")
	default:
		add(split("LD_LIBRARY_PATH")...)
		add("/usr/local/lib", "/usr/local/lib64", "/opt/onnxruntime/lib")
		if triplet := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[p.arch]; triplet != "" {
			add("/usr/lib/"+triplet, "/lib/"+triplet)
		}
		add("/usr/lib64", "/usr/lib", "/lib64", "/lib")
	}
	return dirs
}
