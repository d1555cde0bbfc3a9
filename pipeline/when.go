package pipeline

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// A stage's condition is true, false or a comparison of variables:
//
//	when: ${publish}
//	when: ${radius} > 0 and not ${mode} == quick
//
// It is known when the document is checked; nothing that a stage computes takes part in it.

// conditionTokens takes a condition apart: references, quoted texts, operators, and words.
var conditionTokens = regexp.MustCompile(`\$\{[^{}]*\}|'[^']*'|"[^"]*"|==|!=|<=|>=|<|>|\(|\)|[^\s()=!<>]+|\S`)

// whole resolves a text that is one reference and nothing else; other texts are left for condition to take apart.
func (s *scope) whole(n *node, f *findings) *node {
	if at := referencePattern.FindStringIndex(n.text); n.kind == textNode && at != nil && at[0] == 0 && at[1] == len(n.text) {
		return s.resolve(n, f)
	}
	return n
}

// condition evaluates a stage's when.
func (s *scope) condition(n *node, f *findings) bool {
	if n.kind == boolNode {
		return n.boole
	}
	if n.at.reported {
		return true
	}
	if n.kind != textNode {
		f.add(n.at, conditionForm, "when must be true, false or a comparison, found %s", n.describe())
		return true
	}
	before := len(f.list)
	c := conditionParser{scope: s, f: f, at: n.at, tokens: conditionTokens.FindAllString(n.text, -1)}
	v := c.or()
	if c.err == nil && len(c.tokens) > 0 {
		c.fail("%s is not expected here", c.tokens[0])
	}
	if c.err == nil && v.kind != boolNode && !v.at.reported {
		c.fail("it is %s, neither true nor false", v.describe())
	}
	if c.err != nil {
		f.add(n.at, conditionForm, "when: %v", c.err)
	}
	return len(f.list) > before || c.err != nil || v.boole // a stage with a mistake counts as one that runs
}

const conditionForm = "write ${NAME}, or compare with ==, !=, <, <=, >, >=, joined by and, or, not"

// conditionParser reads a condition by recursive descent: or, and, not, comparison, value.
type conditionParser struct {
	scope  *scope
	f      *findings
	at     place
	tokens []string
	err    error // the first
}

func (c *conditionParser) fail(format string, args ...any) *node {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
	return unusable
}

func (c *conditionParser) take(words ...string) string {
	for _, w := range words {
		if len(c.tokens) > 0 && c.tokens[0] == w {
			c.tokens = c.tokens[1:]
			return w
		}
	}
	return ""
}

func truth(b bool) *node { return plainScalar(fmt.Sprint(b), place{}) }

// both checks the operands of and, or and not.
func (c *conditionParser) both(operator string, operands ...*node) bool {
	for _, n := range operands {
		if n.at.reported {
			return false
		}
		if n.kind != boolNode {
			c.fail("%s joins true and false, found %s", operator, n.describe())
			return false
		}
	}
	return true
}

func (c *conditionParser) or() *node {
	left := c.and()
	for c.take("or") != "" {
		right := c.and()
		if !c.both("or", left, right) {
			return unusable
		}
		left = truth(left.boole || right.boole)
	}
	return left
}

func (c *conditionParser) and() *node {
	left := c.not()
	for c.take("and") != "" {
		right := c.not()
		if !c.both("and", left, right) {
			return unusable
		}
		left = truth(left.boole && right.boole)
	}
	return left
}

func (c *conditionParser) not() *node {
	if c.take("not") == "" {
		return c.comparison()
	}
	v := c.not()
	if !c.both("not", v) {
		return unusable
	}
	return truth(!v.boole)
}

func (c *conditionParser) comparison() *node {
	left := c.value()
	operator := c.take("==", "!=", "<=", ">=", "<", ">")
	if operator == "" {
		return left
	}
	right := c.value()
	if left.at.reported || right.at.reported {
		return unusable
	}
	numbers := (left.kind == intNode || left.kind == floatNode) && (right.kind == intNode || right.kind == floatNode)
	switch operator {
	case "==", "!=":
		same := left.kind == right.kind && left.text == right.text && left.kind != listNode && left.kind != mapNode
		if numbers {
			same = left.float == right.float
		}
		if left.kind == boolNode && right.kind == boolNode {
			same = left.boole == right.boole
		}
		return truth(same == (operator == "=="))
	}
	if !numbers {
		return c.fail("%s compares numbers, found %s and %s", operator, left.describe(), right.describe())
	}
	order := cmp.Compare(left.float, right.float)
	return truth(map[string]bool{"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator])
}

func (c *conditionParser) value() *node {
	if len(c.tokens) == 0 {
		return c.fail("a value is missing at the end")
	}
	token := c.tokens[0]
	c.tokens = c.tokens[1:]
	switch {
	case token == "(":
		v := c.or()
		if c.take(")") == "" {
			return c.fail("a ) is missing")
		}
		return v
	case strings.HasPrefix(token, "${"):
		return c.scope.lookup(token[2:len(token)-1], c.at, c.f)
	case token[0] == '\'' || token[0] == '"':
		if len(token) < 2 {
			return c.fail("a quote is not closed")
		}
		return &node{kind: textNode, text: token[1 : len(token)-1], at: c.at}
	case strings.ContainsAny(token[:1], "=!<>)") || token == "and" || token == "or":
		return c.fail("a value is missing before %s", token)
	}
	return plainScalar(token, c.at)
}
