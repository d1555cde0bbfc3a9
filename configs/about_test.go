package configs_test

import (
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/configs"
)

func TestEveryDocumentSaysWhatItIsFor(t *testing.T) {
	seen := map[string]string{}
	for _, name := range configs.Names() {
		about, err := configs.About(name)
		if err != nil {
			t.Fatal(err)
		}
		if last := about[max(len(about)-1, 0):]; !strings.Contains(".?!", last) || last == "" || len(about) < 20 || len(about) > 250 || strings.Contains(about, "Run it with") {
			t.Errorf("%s: %q is no sentence on it", name, about)
		}
		if seen[about] != "" {
			t.Errorf("%s and %s say the same of themselves", seen[about], name)
		}
		seen[about] = name
	}
	if about, err := configs.About("images"); err != nil || about != "Your own images: a folder with one folder a class." {
		t.Errorf("%v, %q", err, about)
	}
	if _, err := configs.About("nowhere"); err == nil {
		t.Error("a document that is not there says something")
	}
}
