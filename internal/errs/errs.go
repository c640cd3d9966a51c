// Package errs names who an error belongs to and what to do about it.
//
// The party decides the exit code, whether a trial is retried, and whether it counts. The innermost party and hint win,
// so that a caller may wrap freely without changing the blame.
package errs

import (
	"errors"
	"fmt"
)

// Party is who has to act on an error.
type Party string

// The closed set of parties.
const (
	Usage       Party = "usage"
	Infra       Party = "infra"
	Agent       Party = "agent"
	Grader      Party = "grader"
	Interrupted Party = "interrupted"
)

type partyError struct {
	party Party
	err   error
}

func (e *partyError) Error() string { return e.err.Error() }
func (e *partyError) Unwrap() error { return e.err }

type hintError struct {
	hint string
	err  error
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// With blames err on party. A nil err stays nil.
func With(party Party, err error) error {
	if err == nil {
		return nil
	}
	return &partyError{party, err}
}

// Newf is With over fmt.Errorf.
func Newf(party Party, format string, args ...any) error {
	return With(party, fmt.Errorf(format, args...))
}

// Hint adds what the user can do about err. A nil err stays nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hintError{fmt.Sprintf(format, args...), err}
}

// PartyOf returns the innermost party of err, or "" where nobody is named.
func PartyOf(err error) Party {
	var party Party
	for err != nil {
		var p *partyError
		if !errors.As(err, &p) {
			break
		}
		party, err = p.party, p.err
	}
	return party
}

// HintOf returns the innermost hint of err, or "".
func HintOf(err error) string {
	var hint string
	for err != nil {
		var h *hintError
		if !errors.As(err, &h) {
			break
		}
		hint, err = h.hint, h.err
	}
	return hint
}
