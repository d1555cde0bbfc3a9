// Package browsertest drives Chromium, without a window, for tests of pages.
package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Browser is a headless Chromium that is told what to do over two pipes, in the DevTools protocol: JSON objects that end with a zero
// byte, answers bearing the number of what was asked.
type Browser struct {
	t       *testing.T
	asks    *os.File
	answers chan answer
	count   int
	page    string // the session of the page that Visit has opened
}

type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// patience is how long a browser may take for anything; a busy machine needs seconds.
const patience = 60 * time.Second

// Open starts a browser, with flags of its own, that ends with the test, which is skipped where there is none.
func Open(t *testing.T, flags ...string) *Browser {
	t.Helper()
	chromium := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		t.Skip("there is no chromium")
	}
	theirAsks, ourAsks := pipe(t)
	ourAnswers, theirAnswers := pipe(t)
	// Not t.TempDir, since what the browser leaves running for a moment may still write there.
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	ctx, cancel := context.WithCancel(context.Background())
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir=" + profile, "--remote-debugging-pipe"}, flags...)
	cmd := exec.CommandContext(ctx, chromium, append(args, "about:blank")...)
	cmd.ExtraFiles = []*os.File{theirAsks, theirAnswers} // it reads from the third descriptor and writes to the fourth
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Skipf("chromium does not run here: %v", err)
	}
	for _, f := range cmd.ExtraFiles {
		_ = f.Close()
	}
	b := &Browser{t: t, asks: ourAsks, answers: make(chan answer, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(ourAnswers)
	}()
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		_ = ourAnswers.Close()
		<-done
	})
	return b
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		_ = w.Close()
	})
	return r, w
}

// read passes the browser's answers on until it is closed; events, which have no number, are dropped.
func (b *Browser) read(from *os.File) {
	defer close(b.answers)
	in := bufio.NewReader(from)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var a answer
		if json.Unmarshal(text[:len(text)-1], &a) == nil && a.ID > 0 {
			b.answers <- a
		}
	}
}

// Ask sends a command and decodes its result.
func (b *Browser) Ask(method string, params map[string]any, result any) {
	b.t.Helper()
	b.count++
	message := map[string]any{"id": b.count, "method": method, "params": params}
	if b.page != "" {
		message["sessionId"] = b.page
	}
	text, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.asks.Write(append(text, 0)); err != nil {
		b.t.Fatalf("asking the browser for %s: %v", method, err)
	}
	timeout := time.After(patience)
	for {
		select {
		case a, ok := <-b.answers:
			switch {
			case !ok:
				b.t.Fatalf("the browser ended before it answered %s", method)
			case a.ID != b.count:
				continue
			case a.Error != nil:
				b.t.Fatalf("the browser on %s: %s", method, a.Error.Message)
			}
			if err := json.Unmarshal(a.Result, result); err != nil {
				b.t.Fatalf("the browser's answer to %s: %v", method, err)
			}
			return
		case <-timeout:
			b.t.Fatalf("the browser did not answer %s in %v", method, patience)
		}
	}
}

// Visit opens a page.
func (b *Browser) Visit(url string) {
	b.t.Helper()
	var target struct {
		TargetID string `json:"targetId"`
	}
	b.Ask("Target.createTarget", map[string]any{"url": url}, &target)
	var session struct {
		SessionID string `json:"sessionId"`
	}
	b.Ask("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.page = session.SessionID
}

// Await waits until the text that the page shows has a part.
func (b *Browser) Await(part string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		var shown struct {
			Result struct {
				Value string `json:"value"`
			} `json:"result"`
		}
		b.Ask("Runtime.evaluate", map[string]any{"expression": "document.body ? document.body.innerText : ''", "returnByValue": true}, &shown)
		if strings.Contains(shown.Result.Value, part) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the browser shows no %q in %v, but:\n%s", part, patience, shown.Result.Value)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Eval runs a script's expression on the page, waits for its promise if it is one, and returns its value as text.
func (b *Browser) Eval(expression string) string {
	b.t.Helper()
	var out struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Exception *struct {
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	b.Ask("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &out)
	if out.Exception != nil {
		b.t.Fatalf("the page on %.80s: %s", expression, out.Exception.Exception.Description)
	}
	return fmt.Sprint(out.Result.Value)
}

// keys are those that Press knows: their virtual code and the text that they enter.
var keys = map[string]struct {
	code string
	key  int
	text string
}{"Tab": {"Tab", 9, ""}, "Enter": {"Enter", 13, "\r"}, " ": {"Space", 32, " "}}

// Press presses a key and lets it go: "Tab", "Enter" or " ".
func (b *Browser) Press(key string) {
	b.t.Helper()
	k, ok := keys[key]
	if !ok {
		b.t.Fatalf("the key %q is not known", key)
	}
	var none struct{}
	down := map[string]any{"type": "keyDown", "key": key, "code": k.code, "windowsVirtualKeyCode": k.key}
	if k.text != "" {
		down["text"] = k.text
	}
	b.Ask("Input.dispatchKeyEvent", down, &none)
	b.Ask("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": k.code, "windowsVirtualKeyCode": k.key}, &none)
}

// Show makes the page as wide as a window of so many pixels, in light or dark colors.
func (b *Browser) Show(width int, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	var none struct{}
	b.Ask("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, &none)
	b.Ask("Emulation.setEmulatedMedia", map[string]any{"media": "screen", "features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, &none)
}

// Print makes the page as it is on paper so many pixels wide, with the colors of a screen in the dark where the page says no others.
func (b *Browser) Print(width int) {
	b.t.Helper()
	var none struct{}
	b.Ask("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false}, &none)
	b.Ask("Emulation.setEmulatedMedia", map[string]any{"media": "print", "features": []map[string]string{{"name": "prefers-color-scheme", "value": "dark"}}}, &none)
}

// Photograph writes the whole page as a PNG file.
func (b *Browser) Photograph(path string) {
	b.t.Helper()
	var shot struct {
		Data []byte `json:"data"`
	}
	b.Ask("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	if err := os.WriteFile(path, shot.Data, 0o666); err != nil {
		b.t.Fatal(err)
	}
}

// PhotographsVariable is the environment variable that names a folder for what Look sees.
const PhotographsVariable = "PLATEAU_TEST_PHOTOGRAPHS"

// Look looks at the page as it is at 1280 and 390 pixels, light and dark: axe finds no fault, and nothing makes it wider than the
// window. Where the environment names a folder it leaves NAME-WIDTH-light.png and so on there.
func (b *Browser) Look(name string) {
	b.t.Helper()
	dir := os.Getenv(PhotographsVariable)
	for _, width := range []int{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.Show(width, scheme == "dark")
			b.CheckAccessibility()
			if wide := b.Eval(`document.documentElement.scrollWidth > document.documentElement.clientWidth`); wide != "false" {
				b.t.Errorf("%s is wider than %d pixels", name, width)
			}
			if dir != "" {
				b.Photograph(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)))
			}
		}
	}
}

// AxeVariable is the environment variable that names axe-core's axe.min.js, by which pages are searched for faults of accessibility.
const AxeVariable = "PLATEAU_TEST_AXE"

// CheckAccessibility fails the test where axe finds a fault on the page. It does nothing where the environment names no axe.
func (b *Browser) CheckAccessibility() {
	b.t.Helper()
	path := os.Getenv(AxeVariable)
	if path == "" {
		return
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Eval(string(axe) + "; 0")
	if faults := b.Eval(`axe.run().then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html).join(", ")).join("\n"))`); faults != "" {
		b.t.Errorf("axe finds:\n%s", faults)
	}
}
