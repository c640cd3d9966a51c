package kubectl

import (
	"errors"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// ErrShell is what a command line is refused with, wrapped, that needs a shell.
var ErrShell = errors.New("this tool runs one kubectl command, without a shell")

// parseLine splits a command line by shell-word rules: quotes, backslashes, comments, a here-document (which becomes the
// standard input). Nothing is expanded. A leading "kubectl" and harmless redirections of stderr are dropped.
func parseLine(line string) (argv []string, stdin string, hasStdin bool, err error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(line), "command")
	if err != nil {
		return nil, "", false, fmt.Errorf("parse command line: %w", err)
	}
	if len(file.Stmts) == 0 {
		return nil, "", false, nil
	}
	if len(file.Stmts) > 1 {
		return nil, "", false, fmt.Errorf("%w: give one command per call", ErrShell)
	}
	stmt := file.Stmts[0]
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || stmt.Background || stmt.Negated || len(call.Assigns) > 0 {
		return nil, "", false, fmt.Errorf("%w: no pipes, lists, variables or background jobs (filter with -l, --field-selector, -o jsonpath)", ErrShell)
	}
	for _, redirect := range stmt.Redirs {
		doc, isDoc, err := redirection(redirect)
		if err != nil {
			return nil, "", false, err
		}
		if isDoc {
			stdin, hasStdin = doc, true
		}
	}
	for _, word := range call.Args {
		s, err := literal(word)
		if err != nil {
			return nil, "", false, err
		}
		argv = append(argv, s)
	}
	if argv[0] == "kubectl" || argv[0] == "k" {
		argv = argv[1:]
	}
	return argv, stdin, hasStdin, nil
}

func redirection(r *syntax.Redirect) (doc string, isDoc bool, err error) {
	switch r.Op {
	case syntax.Hdoc, syntax.DashHdoc:
		doc, err = hereDocument(r.Hdoc)
		return doc, true, err
	case syntax.WordHdoc:
		doc, err = literal(r.Word)
		return doc + "\n", true, err
	case syntax.DplOut, syntax.RdrOut:
		target, err := literal(r.Word)
		if err == nil && r.N != nil && r.N.Value == "2" && (target == "1" || target == "/dev/null") {
			return "", false, nil
		}
	}
	return "", false, fmt.Errorf("%w: no redirections but here-documents", ErrShell)
}

// hereDocument gives the text of a here-document as it stands: an unquoted one may hold no expansions.
func hereDocument(word *syntax.Word) (string, error) {
	var b strings.Builder
	for _, part := range word.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok {
			return "", fmt.Errorf("%w: no expansions in a here-document (quote its delimiter: <<'EOF')", ErrShell)
		}
		b.WriteString(lit.Value)
	}
	return b.String(), nil
}

// literal removes the quotes of a word; expansions are refused.
func literal(word *syntax.Word) (string, error) {
	if word == nil {
		return "", nil
	}
	var expansion syntax.Node
	syntax.Walk(word, func(node syntax.Node) bool {
		switch node.(type) {
		case *syntax.ParamExp, *syntax.CmdSubst, *syntax.ArithmExp, *syntax.ProcSubst:
			expansion = node
		}
		return expansion == nil
	})
	if expansion != nil {
		return "", fmt.Errorf("%w: no $ expansions (put single quotes around a literal $)", ErrShell)
	}
	s, err := expand.Literal(&expand.Config{Env: expand.ListEnviron("HOME=~")}, word)
	if err != nil {
		return "", fmt.Errorf("read argument: %w", err)
	}
	return s, nil
}
