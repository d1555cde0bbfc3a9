// Package report is the stage kind that makes a page of what a run has found: report.html, one file that needs no network, script
// or font, is readable on a phone and on paper, and has the same bytes for the same inputs.
//
// Content is what the page is made of, in the types of package result; Render turns it into HTML. Each section of the page
// has a file here that turns content into a view, a struct of finished text and pictures, and a template of the same name that
// lays the view out. What a run does not have is left out.
package report
