package report

import (
	"fmt"
	"html/template"
)

// Style returns the style sheet of the page, so that pages of other stages look alike.
func Style() (template.CSS, error) {
	style, err := templates.ReadFile("template/style.css")
	if err != nil {
		return "", fmt.Errorf("reading the style of pages: %w", err)
	}
	return template.CSS(style), nil
}
