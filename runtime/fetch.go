package runtime

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	packageName = "onnxruntime-node"
	// packageIntegrity is the SHA-512 of the package's archive in the form that npm prints and lock files hold.
	packageIntegrity = "sha512-QEzGwrvNBgv4uPVdnbHsOGG4G6T96mdlcFI8aAKPjMU8wOPpVocPXb6k3QGkaZagVTv2G9Bnnbo6Z3JdXr1fQw=="
)

// fetchNPM fills the cache from the npm package, through the npm client as the user has configured it.
func fetchNPM(ctx context.Context, c cache, log func(string)) error {
	if c.platform.folder == "" {
		return &EnvironmentError{
			Problem: fmt.Sprintf("fetch ONNX Runtime %s: the npm package %s has no library for %s", Version, packageName, c.platform),
			Remedy:  remedySet(c.platform),
		}
	}
	return c.fill(ctx, func(ctx context.Context, dir string) error {
		npm, err := findNPM(c.platform)
		if err != nil {
			return err
		}
		start := time.Now()
		log(fmt.Sprintf("fetching ONNX Runtime %s with npm (100 MB, once)…", Version))
		archive, err := packNPM(ctx, npm, filepath.Dir(dir), c.platform)
		if err != nil {
			return err
		}
		if err := checkIntegrity(archive, c.integrity, c.platform); err != nil {
			return err
		}
		if err := extract(ctx, archive, dir, c.platform); err != nil {
			return err
		}
		if err := os.Remove(archive); err != nil {
			return fmt.Errorf("remove the fetched archive: %w", err)
		}
		log(fmt.Sprintf("fetched ONNX Runtime %s in %.1f s", Version, time.Since(start).Seconds()))
		return nil
	})
}

// findNPM returns the path of the npm client.
func findNPM(p platform) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", &EnvironmentError{
			Problem: fmt.Sprintf("fetch ONNX Runtime %s: npm is not installed", Version),
			Remedy:  remedyInstall(p),
			Err:     err,
		}
	}
	return npm, nil
}

// packNPM has npm put the package's archive into dir, and returns its path. No script of the package runs.
func packNPM(ctx context.Context, npm, dir string, p platform) (string, error) {
	// What the user has set for npm at large must not send the archive elsewhere, or keep it from being written.
	cmd := exec.CommandContext(ctx, npm, "pack", packageName+"@"+Version, "--ignore-scripts", "--json", "--pack-destination=.", "--dry-run=false", "--workspaces=false")
	// A folder of our own also keeps npm from reading a package.json.
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NO_UPDATE_NOTIFIER=1", "npm_config_fund=false", "npm_config_audit=false")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ownGroup(cmd)
	cmd.WaitDelay = 5 * time.Second // a grandchild that keeps the pipes open must not hold us
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("fetch ONNX Runtime %s with npm: %w", Version, context.Cause(ctx))
		}
		reason := npmReason(stdout.Bytes(), stderr.String())
		return "", &EnvironmentError{
			Problem: fmt.Sprintf("fetch ONNX Runtime %s: npm pack %s@%s failed: %s", Version, packageName, Version, reason),
			Remedy:  remedyNPM(reason) + ", or " + remedySet(p),
			Err:     err,
			Passing: passing(reason),
		}
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return "", &EnvironmentError{
			Problem: fmt.Sprintf("fetch ONNX Runtime %s: npm pack left %d archives in %s, 1 expected", Version, len(archives), dir),
			Remedy:  "check npm's settings (npm config list), or " + remedySet(p),
			Err:     err,
		}
	}
	return archives[0], nil
}

// remedyNPM says how to mend what npm gives as its reason.
func remedyNPM(reason string) string {
	if strings.Contains(reason, "ETARGET") || strings.Contains(reason, "notarget") {
		return "see whether npm's settings hide packages that are new (npm config get min-release-age, npm config get before), and whether the registry that npm is set to has " +
			"this version (npm view " + packageName + " versions)"
	}
	return "check the network and npm's registry and proxy settings (npm ping)"
}

// passing tells whether npm gives a reason that may pass: the network or the registry failed, not the request.
func passing(reason string) bool {
	codes := []string{"EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ENOTFOUND", "EPIPE", "ETIMEDOUT", "ERR_SOCKET_TIMEOUT", "E429", "E500", "E502", "E503", "E504"}
	words := strings.FieldsFunc(reason, func(r rune) bool { return r == ' ' || r == ',' })
	return slices.ContainsFunc(words, func(word string) bool { return slices.Contains(codes, word) })
}

// npmReason returns why npm failed: its summary, else the last lines that it wrote.
func npmReason(stdout []byte, stderr string) string {
	var report struct {
		Error struct {
			Code    string `json:"code"`
			Summary string `json:"summary"`
		} `json:"error"`
	}
	if json.Unmarshal(stdout, &report) == nil && report.Error.Code != "" {
		summary, _, _ := strings.Cut(strings.TrimSpace(report.Error.Summary), "\n")
		return strings.TrimSpace(report.Error.Code + " " + summary)
	}
	var lines []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "npm error"))
		if line != "" && !strings.HasPrefix(line, "npm warn") && !strings.HasPrefix(line, "A complete log") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return "it said nothing"
	}
	return strings.Join(lines[:min(3, len(lines))], ", ")
}

// checkIntegrity compares an archive with the digest that is pinned here, whatever the registry said.
func checkIntegrity(archive, expected string, p platform) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("check the fetched archive: %w", err)
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("check the fetched archive: %w", err)
	}
	got := "sha512-" + base64.StdEncoding.EncodeToString(h.Sum(nil))
	if got != expected {
		return &EnvironmentError{
			Problem: fmt.Sprintf("fetch ONNX Runtime %s: the archive of %s@%s is not the published one (got %s, expected %s); nothing was kept",
				Version, packageName, Version, got, expected),
			Remedy: "check which registry npm is set to and clear its cache (npm cache clean --force), or " + remedySet(p),
		}
	}
	return nil
}

// extract takes the platform's files out of a package archive into dir.
func extract(ctx context.Context, archive, dir string, p platform) error {
	wrap := func(err error) error {
		return fmt.Errorf("take the library for %s out of %s@%s: %w", p, packageName, Version, err)
	}
	f, err := os.Open(archive)
	if err != nil {
		return wrap(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return wrap(err)
	}
	wanted := map[string]string{}
	for _, name := range p.files {
		wanted[path.Join(p.folder, name)] = name
	}
	for r := tar.NewReader(unzipped); len(wanted) > 0; {
		if ctx.Err() != nil {
			return wrap(context.Cause(ctx))
		}
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return wrap(fmt.Errorf("the archive has no %s", path.Join(p.folder, p.files[0])))
		}
		if err != nil {
			return wrap(err)
		}
		name, ok := wanted[path.Clean(header.Name)]
		if !ok || header.Typeflag != tar.TypeReg {
			continue
		}
		delete(wanted, path.Clean(header.Name))
		if err := writeSynced(filepath.Join(dir, name), r); err != nil {
			return wrap(err)
		}
	}
	return nil
}
