package dataset

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// skipped is what was found among images and is none.
type skipped struct {
	behind      []string // folders that programs leave behind, by path
	behindFiles int      // files in them
	links       []string // that lead nowhere or to folders
	unused      []string // folders beside those of the splits
	joined      []string // classes with several folders
	// files are counted by where they lie, the class or "." outside of all, and by what they end in.
	files map[string]map[string]int
}

// leftBehind tells whether a folder is one of those that programs and systems make for themselves: archives of a Mac, photo servers,
// waste baskets, thumbnails, repaired disks, everything hidden.
func leftBehind(name string) bool {
	switch strings.ToLower(name) {
	case "__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "recycler", "lost+found", "system volume information", "#snapshot", "@tmp":
		return true
	}
	return hidden(name)
}

// folder notes a folder that a program has left behind. It counts what lies in it as far as it can.
func (s *skipped) folder(path, name string) {
	s.behind = append(s.behind, name)
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			s.behindFiles++
		}
		return nil
	})
}

// file notes a file that is no image.
func (s *skipped) file(where, name string) {
	ending := strings.ToLower(filepath.Ext(name))
	switch {
	case hidden(name):
		ending = "hidden"
	case ending == "":
		ending = "without an ending"
	}
	if s.files == nil {
		s.files = map[string]map[string]int{}
	}
	if s.files[where] == nil {
		s.files[where] = map[string]int{}
	}
	s.files[where][ending]++
}

// endings lists what the files of a class that are no images end in: "3 .heic, 1 .txt".
func (s *skipped) endings(class string) string {
	counts := s.files[class]
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = fmt.Sprintf("%d %s", counts[n], n)
	}
	return abridge(texts, 6)
}

// note says what was skipped and joined, or returns "".
func (f *imageFolder) note() string {
	s := &f.skipped
	var parts []string
	if n := len(s.behind); n > 0 {
		kinds := map[string]int{}
		for _, name := range s.behind {
			kinds[filepath.Base(name)]++
		}
		texts := make([]string, 0, len(kinds))
		for _, name := range slices.Sorted(maps.Keys(kinds)) {
			texts = append(texts, fmt.Sprintf("%d %s", kinds[name], name))
		}
		parts = append(parts, fmt.Sprintf("left out %s that programs leave behind or hide, with %s in them: %s", count(n, "folder"), count(s.behindFiles, "file"), abridge(texts, 6)))
	}
	if len(s.files) > 0 {
		total := 0
		var texts []string
		for _, where := range slices.Sorted(maps.Keys(s.files)) {
			for _, n := range s.files[where] {
				total += n
			}
			name := where
			if where == "." {
				name = "outside of classes"
			}
			texts = append(texts, name+": "+s.endings(where))
		}
		text := texts[0]
		for _, t := range texts[1:min(len(texts), 12)] {
			text += "; " + t
		}
		if more := len(texts) - 12; more > 0 {
			text += fmt.Sprintf("; and in %d more classes", more)
		}
		parts = append(parts, fmt.Sprintf("skipped %s that %s no %s images (%s)", count(total, "file"), areOr(total), formatNames(), text))
	}
	if n := len(s.links); n > 0 {
		parts = append(parts, fmt.Sprintf("skipped %s that lead nowhere or to folders, such as %s", count(n, "link"), s.links[0]))
	}
	if n := len(s.unused); n > 0 {
		parts = append(parts, fmt.Sprintf("took no images from %s beside %s and %s: %s", count(n, "folder"), trainFolder, f.testFolder, abridge(s.unused, 6)))
	}
	if n := len(s.joined); n > 0 {
		parts = append(parts, fmt.Sprintf("folders whose names differ in their Unicode form alone are one class each: %s", abridge(s.joined, 6)))
	}
	return strings.Join(parts, "; ")
}

// count returns "1 file" or "2 files".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func areOr(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
