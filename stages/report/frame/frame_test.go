package frame_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plateau-nas/plateau/stages/report/frame"
)

type view struct {
	frame.Page
	Text string
}

func TestWriteFramesThePage(t *testing.T) {
	pages := fstest.MapFS{"template/page.html": {Data: []byte(`{{define "style"}}.own{color:red}{{end}}{{template "top" .}}<nav></nav></header><main>{{template "part" .}}</main></body></html>`)},
		"template/part.html": {Data: []byte(`{{define "part"}}{{.Text}}{{end}}`)}}
	v := view{Page: frame.Page{Title: "a < b"}, Text: "<script>"}
	var b bytes.Buffer
	if err := frame.Write(&b, pages, nil, &v.Page, &v); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if !strings.HasPrefix(page, "<!doctype html>") {
		t.Errorf("the page begins with %.40q", page)
	}
	for _, want := range []string{"<title>a &lt; b</title>", ".own{color:red}</style>", "</svg>plateau</a>", "<main>&lt;script&gt;</main>", "--muted"} {
		if strings.Count(page, want) == 0 {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestWriteLeavesNothingHalfDone(t *testing.T) {
	pages := fstest.MapFS{"template/page.html": {Data: []byte(`{{template "top" .}}{{.Missing}}`)}}
	v := view{}
	var b bytes.Buffer
	if err := frame.Write(&b, pages, nil, &v.Page, &v); err == nil || b.Len() > 0 {
		t.Errorf("a page that asks for what its view lacks: error %v, %d bytes", err, b.Len())
	}
}
