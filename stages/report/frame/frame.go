// Package frame holds what all pages have in common: the head of the document, the style sheet, the bar with the name and the
// way from templates to a file.
package frame

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
)

//go:embed frame.html style.css
var files embed.FS

// Page is what every page's view embeds.
type Page struct {
	Title string
	Style template.CSS // filled in by Write
}

// Parse reads the templates of a page that match the patterns. The page begins with {{template "top" .}}, which wants a Page and
// leaves the bar at the top open for a nav element; it may define "style" and "head", which are added to these.
func Parse(pages fs.FS, funcs template.FuncMap, patterns ...string) (*template.Template, error) {
	t, err := template.New("page.html").Funcs(funcs).ParseFS(files, "frame.html")
	if err != nil {
		return nil, fmt.Errorf("reading the frame of pages: %w", err)
	}
	if t, err = t.ParseFS(pages, patterns...); err != nil {
		return nil, fmt.Errorf("reading the templates of a page: %w", err)
	}
	return t, nil
}

// Style returns the style sheet.
func Style() (template.CSS, error) {
	style, err := files.ReadFile("style.css")
	if err != nil {
		return "", fmt.Errorf("reading the style of pages: %w", err)
	}
	return template.CSS(style), nil
}

// Write writes the page template/page.html of pages, with the other templates beside it, for a view that embeds p. Nothing is written
// when that fails. Equal views give equal bytes.
func Write(w io.Writer, pages fs.FS, funcs template.FuncMap, p *Page, view any) error {
	t, err := Parse(pages, funcs, "template/*.html")
	if err != nil {
		return err
	}
	if p.Style, err = Style(); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, view); err != nil {
		return fmt.Errorf("filling in the page: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}
