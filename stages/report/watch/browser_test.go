package watch_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// browser is a headless Chromium that is told what to do over two pipes, in the DevTools protocol: JSON objects that end with a zero
// byte, answers bearing the number of what was asked.
type browser struct {
	t       *testing.T
	asks    *os.File
	answers chan answer
	count   int
	page    string // the session of the page that open has opened
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

// openBrowser starts a browser that ends with the test, which is skipped where there is none.
func openBrowser(t *testing.T) *browser {
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
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{theirAsks, theirAnswers} // it reads from the third descriptor and writes to the fourth
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Skipf("chromium does not run here: %v", err)
	}
	for _, f := range cmd.ExtraFiles {
		_ = f.Close()
	}
	b := &browser{t: t, asks: ourAsks, answers: make(chan answer, 100)}
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
func (b *browser) read(from *os.File) {
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

// ask sends a command and decodes its result.
func (b *browser) ask(method string, params map[string]any, result any) {
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

// open opens a page.
func (b *browser) open(url string) {
	b.t.Helper()
	var target struct {
		TargetID string `json:"targetId"`
	}
	b.ask("Target.createTarget", map[string]any{"url": url}, &target)
	var session struct {
		SessionID string `json:"sessionId"`
	}
	b.ask("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.page = session.SessionID
}

// await waits until the text that the page shows has a part.
func (b *browser) await(part string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		var shown struct {
			Result struct {
				Value string `json:"value"`
			} `json:"result"`
		}
		b.ask("Runtime.evaluate", map[string]any{"expression": "document.body ? document.body.innerText : ''", "returnByValue": true}, &shown)
		if strings.Contains(shown.Result.Value, part) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the browser shows no %q in %v, but:\n%s", part, patience, shown.Result.Value)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
