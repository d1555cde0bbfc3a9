package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages"
	"github.com/plateau-nas/plateau/stages/report/serve"
)

func TestServeAnswersUntilItIsEnded(t *testing.T) {
	picture, err := os.ReadFile(filepath.Join(writePictures(t), "blue", "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close() //nolint:errcheck // only a test's notes
	a := &app{stdout: io.Discard, stderr: said, registry: stages.Registry}
	a.runtime.open = runtimetest.Open(t)
	root := a.newRootCommand()
	root.SetArgs([]string{"serve", classifier{batch: 1, channels: 3, classes: []string{"red", "green", "blue"}}.write(t), "--scale", "1"})
	ctx, end := context.WithCancel(t.Context())
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	url := ""
	for deadline := time.Now().Add(30 * time.Second); url == ""; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(said.Name())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%v, it says %s", err, text)
		}
		url = regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(string(text))
	}
	r, err := http.Post(url+"predict?top=1", "image/png", bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	var got serve.Answer
	err = json.NewDecoder(r.Body).Decode(&got)
	_ = r.Body.Close()
	if err != nil || len(got.Classes) != 1 || got.Classes[0].Class != "blue" {
		t.Errorf("%v, %+v", err, got)
	}
	end()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
	}
}

func TestServeSaysWhatIsMissing(t *testing.T) {
	color := classifier{batch: 1, channels: 3}.write(t)
	for want, args := range map[string][]string{
		"there is no file nowhere.onnx":           {"nowhere.onnx"},
		"give --scale 255 for pixels as they are": {color},
		"--port must be between":                  {color, "--port", "70000"},
	} {
		if _, _, err := call(t, append([]string{"serve"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("serve %s: %v does not say %q", strings.Join(args, " "), err, want)
		}
	}
}
