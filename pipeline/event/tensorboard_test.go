package event_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/plateau-nas/plateau/pipeline/event"
)

// point is a scalar of an event file.
type point struct {
	Tag   string
	Step  int64
	Value float32
}

// search emits epochs of a stage, with progress between them.
func search(emit func(event.Event), from, to int) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	progress := func(done int, final bool, value float64) {
		emit(event.Event{Time: at, Type: event.StageProgress, Stage: "search", Progress: &event.Progress{
			Done: done, Total: to, Unit: "epoch", Final: final, Values: []event.Value{{Name: "train_loss", Value: value}, {Name: "alpha_entropy", Value: 1.5}},
		}})
	}
	emit(event.Event{Time: at, Type: event.StageStarted, Stage: "search"})
	if from > 0 {
		emit(event.Event{Time: at, Type: event.StageResumed, Stage: "search"})
	}
	for e := from; e < to; e++ {
		progress(e, false, 99)
		progress(e+1, true, 1/float64(e+1))
	}
	emit(event.Event{Time: at, Type: event.StageMetric, Stage: "search", Values: []event.Value{{Name: "own_score", Value: -0.25}}})
	emit(event.Event{Time: at, Type: event.StageFinished, Stage: "search"})
}

func TestTensorBoardFilesHoldOneScalarAnEpoch(t *testing.T) {
	dir := t.TempDir()
	b := event.NewTensorBoard(dir)
	search(b.Emit, 0, 3)
	// Without epochs the step is what was done; nothing is known before the first.
	b.Emit(event.Event{Time: time.Unix(5, 0), Type: event.StageStarted, Stage: "sample@1"})
	for _, done := range []int{0, 0, 4, 4, 9} {
		b.Emit(event.Event{Time: time.Unix(5, 250_000_000), Type: event.StageProgress, Stage: "sample@1", Progress: &event.Progress{
			Done: done, Unit: "evaluation", Values: []event.Value{{Name: "best", Value: math.Inf(1)}},
		}})
	}
	b.Emit(event.Event{Type: event.StageReused, Stage: "data"})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.Emit(event.Event{Type: event.StageStarted, Stage: "late"})
	entropy := func(step int64) point { return point{"alpha_entropy", step, 1.5} }
	want := []point{
		{"version brain.Event:2", 0, 0}, {"start", 0, 0},
		{"train_loss", 1, 1}, entropy(1), {"train_loss", 2, 0.5}, entropy(2), {"train_loss", 3, 1. / 3}, entropy(3), {"metrics/own_score", 3, -0.25},
	}
	if diff := cmp.Diff(want, readBoard(t, filepath.Join(dir, "search"))); diff != "" {
		t.Errorf("search: -want +got:\n%s", diff)
	}
	inf := float32(math.Inf(1))
	want = []point{{"version brain.Event:2", 0, 0}, {"start", 0, 0}, {"best", 4, inf}, {"best", 9, inf}}
	if diff := cmp.Diff(want, readBoard(t, filepath.Join(dir, "sample@1"))); diff != "" {
		t.Errorf("sample: -want +got:\n%s", diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: a stage without numbers has a folder", entries, err)
	}
}

func TestAContinuedStageVoidsWhatComesAfter(t *testing.T) {
	dir := t.TempDir()
	for _, from := range []int{0, 2} {
		b := event.NewTensorBoard(dir)
		search(b.Emit, from, 4)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(filepath.Join(dir, "search"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v: want two files", files, err)
	}
	got := readBoard(t, filepath.Join(dir, "search"))
	i := slices.Index(got[1:], point{"version brain.Event:2", 0, 0}) + 1
	want := []point{{"version brain.Event:2", 0, 0}, {"start", 3, 0}, {"train_loss", 3, 1. / 3}}
	if diff := cmp.Diff(want, got[i:i+3]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAFullDiskIsToldOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	b := event.NewTensorBoard(filepath.Join(file, "below"))
	search(b.Emit, 0, 3)
	if err := b.Close(); err == nil || !strings.Contains(err.Error(), "TensorBoard") {
		t.Errorf("error: %v", err)
	}
}

// readBoard reads the event files of a folder with nothing of the code that wrote them.
func readBoard(t *testing.T, dir string) []point {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []point
	for _, e := range entries {
		if !strings.Contains(e.Name(), "tfevents") {
			t.Errorf("TensorBoard would pass over %s", e.Name())
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for len(data) > 0 {
			n := binary.LittleEndian.Uint64(data)
			checkCRC(t, data[:8], data[8:])
			checkCRC(t, data[12:12+n], data[12+n:])
			out = append(out, readEvent(t, data[12:12+n])...)
			data = data[16+n:]
		}
	}
	return out
}

// checkCRC undoes the mask, as TensorFlow's own reader does.
func checkCRC(t *testing.T, data, sum []byte) {
	t.Helper()
	rotated := binary.LittleEndian.Uint32(sum) - 0xa282ead8
	if got, want := rotated>>17|rotated<<15, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)); got != want {
		t.Fatalf("checksum %08x, want %08x", got, want)
	}
}

// message splits a protobuf message into its fields: uint64, or []byte, by number.
func message(t *testing.T, b []byte, field func(n protowire.Number, v uint64, bytes []byte)) {
	t.Helper()
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		b = b[size:]
		var v uint64
		var bytes []byte
		switch typ {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v, size = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var w uint32
			w, size = protowire.ConsumeFixed32(b)
			v = uint64(w)
		case protowire.BytesType:
			bytes, size = protowire.ConsumeBytes(b)
		default:
			t.Fatalf("field %d has wire type %d", n, typ)
		}
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		b = b[size:]
		field(n, v, bytes)
	}
}

func readEvent(t *testing.T, data []byte) []point {
	t.Helper()
	var out []point
	var step int64
	message(t, data, func(n protowire.Number, v uint64, b []byte) {
		switch n {
		case 1:
			if at := math.Float64frombits(v); at != 5.25 && at != 1772366400 {
				t.Errorf("wall time %v", at)
			}
		case 2:
			step = int64(v)
		case 3:
			out = append(out, point{Tag: "version " + string(b)})
		case 5:
			message(t, b, func(_ protowire.Number, _ uint64, b []byte) {
				var p point
				message(t, b, func(n protowire.Number, v uint64, b []byte) {
					switch n {
					case 1:
						p.Tag = string(b)
					case 2:
						p.Value = math.Float32frombits(uint32(v))
					}
				})
				out = append(out, p)
			})
		case 7:
			if string(b) != "\x08\x01" {
				t.Errorf("session log %x", b)
			}
			out = append(out, point{Tag: "start"})
		default:
			t.Errorf("unexpected field %d", n)
		}
	})
	for i := range out {
		out[i].Step = step
	}
	return out
}

// readByTensorBoard prints what TensorBoard makes of a folder.
const readByTensorBoard = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1])
a.Reload()
print(json.dumps({t: [[e.step, e.value] for e in a.Scalars(t)] for t in a.Tags()["scalars"]}))
`

func TestTensorBoardItselfReadsTheFiles(t *testing.T) {
	python := os.Getenv("PLATEAU_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import tensorboard").Run(); err != nil {
		t.Skipf("no TensorBoard for %s: %v", python, err)
	}
	dir := t.TempDir()
	for _, r := range [][2]int{{0, 5}, {0, 4}, {2, 3}} { // anew, and continued after the second epoch
		b := event.NewTensorBoard(dir)
		search(b.Emit, r[0], r[1])
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), python, "-c", readByTensorBoard, filepath.Join(dir, "search")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string][][2]float64
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	third := float64(float32(1. / 3))
	want := map[string][][2]float64{
		"train_loss": {{1, 1}, {2, 0.5}, {3, third}}, "alpha_entropy": {{1, 1.5}, {2, 1.5}, {3, 1.5}}, "metrics/own_score": {{3, -0.25}},
	}
	if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
