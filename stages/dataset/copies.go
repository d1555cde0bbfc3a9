package dataset

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// tailBytes is how much of the end of files of one size is compared before all of them is: pictures that differ nearly always differ
// there.
const tailBytes = 4 << 10

// copiesOf returns for each file the number of the group of files with the same bytes that it belongs to, from 1 on, and 0 for
// those without a copy; nil when no file has one. Of a file that cannot be read nothing is known here.
func copiesOf(ctx context.Context, root string, files []imageFile) ([]int, error) {
	keys := make([]fileKey, len(files))
	candidates := make([]int, len(files))
	for i := range files {
		candidates[i] = i
	}
	for _, step := range []func(path string, key *fileKey) error{sizeKey, tailKey, wholeKey} {
		var group errgroup.Group
		group.SetLimit(runtime.GOMAXPROCS(0))
		for _, i := range candidates {
			group.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := step(filepath.Join(root, files[i].name), &keys[i]); err != nil {
					keys[i].unknown = i + 1 // equal to no other
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		count := map[fileKey]int{}
		for _, i := range candidates {
			count[keys[i]]++
		}
		candidates = slices.DeleteFunc(candidates, func(i int) bool { return count[keys[i]] < 2 })
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	groups, numbers := make([]int, len(files)), map[fileKey]int{}
	for _, i := range candidates {
		if numbers[keys[i]] == 0 {
			numbers[keys[i]] = len(numbers) + 1
		}
		groups[i] = numbers[keys[i]]
	}
	return groups, nil
}

// fileKey is what is known of the content of a file.
type fileKey struct {
	size    int64
	digest  [sha256.Size]byte
	unknown int
}

func sizeKey(path string, key *fileKey) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if key.size = info.Size(); key.size == 0 {
		return io.ErrUnexpectedEOF // is no picture
	}
	return nil
}

func tailKey(path string, key *fileKey) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read from
	tail := make([]byte, min(tailBytes, key.size))
	if _, err := file.ReadAt(tail, key.size-int64(len(tail))); err != nil {
		return err
	}
	key.digest = sha256.Sum256(tail)
	return nil
}

func wholeKey(path string, key *fileKey) (err error) {
	if key.size > tailBytes {
		key.digest, err = digestFile(context.Background(), path)
	}
	return err
}

// aboutCopies says how many files have copies, and which lie in several classes.
func aboutCopies(files []imageFile, copies []int) (note, warning string) {
	if copies == nil {
		return "", ""
	}
	groups := map[int][]imageFile{}
	for i, g := range copies {
		if g != 0 {
			groups[g] = append(groups[g], files[i])
		}
	}
	same, several := 0, 0
	var ofSame, ofSeveral []imageFile
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		members := groups[g]
		if len(members) < 2 {
			continue // its copies are elsewhere
		}
		if slices.ContainsFunc(members, func(m imageFile) bool { return m.label != members[0].label }) {
			several += len(members)
			if ofSeveral == nil {
				other := slices.IndexFunc(members, func(m imageFile) bool { return m.label != members[0].label })
				ofSeveral = []imageFile{members[0], members[other]}
			}
			continue
		}
		same += len(members) - 1
		if ofSame == nil {
			ofSame = members[:2]
		}
	}
	if same > 0 {
		note = fmt.Sprintf("%s copies of others, such as %s of %s: copies are kept in one split", countAre(same, "file"), ofSame[1].name, ofSame[0].name)
	}
	if several > 0 {
		warning = fmt.Sprintf("%s the same in several classes, such as %s and %s: at most one of their classes is right, so take the others away", countAre(several, "file"), ofSeveral[0].name, ofSeveral[1].name)
	}
	return note, warning
}

func countAre(n int, noun string) string { return count(n, noun) + " " + areOr(n) }

// apart returns the training files that are not in the test too, and says how many are.
func apart(train, test []imageFile, groups map[string]int) (kept []imageFile, note string) {
	tested := map[int]bool{0: false}
	for _, f := range test {
		if g := groups[f.name]; g != 0 {
			tested[g] = true
		}
	}
	var left []imageFile
	for _, f := range train {
		if tested[groups[f.name]] {
			left = append(left, f)
		} else {
			kept = append(kept, f)
		}
	}
	if len(left) == 0 {
		return train, ""
	}
	return kept, fmt.Sprintf("left %s out that %s in the test too, such as %s", count(len(left), "training file"), areOr(len(left)), left[0].name)
}
