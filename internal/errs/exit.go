package errs

import (
	"errors"
	"syscall"
)

// The exit codes of the command line. This is the only place where they are given.
const (
	// ExitOK: the command did its job. A poor score of an agent is not an error.
	ExitOK = 0
	// ExitError: something unexpected.
	ExitError = 1
	// ExitUsage: wrong flags or arguments, or input files that cannot be read or are invalid.
	ExitUsage = 2
	// ExitFindings: validate or check found problems.
	ExitFindings = 3
	// ExitGate: --fail-under was not met.
	ExitGate = 4
	// ExitIncomplete: the run ended, but more trials than --max-infra-errors have no grade.
	ExitIncomplete = 5
	// ExitEnvironment: the environment cannot be used: no memory, a full disk, a missing binary, no cluster.
	ExitEnvironment = 6
	// ExitTryAgain and ExitUnfit are what a worker of an executor tells whoever started it: the trial failed for the harness's own
	// reasons and has tries left; this build cannot play the plan, in no place.
	ExitTryAgain = 75
	ExitUnfit    = 78
	// ExitInterrupted and ExitTerminated: stopped by SIGINT or SIGTERM; finished trials are on the disk.
	ExitInterrupted = 128 + int(syscall.SIGINT)
	ExitTerminated  = 128 + int(syscall.SIGTERM)
)

// ExitMeaning is one exit code with what it says, for the help.
type ExitMeaning struct {
	Code    int    `json:"code"`
	Meaning string `json:"meaning"`
}

// ExitMeanings returns every exit code in order.
func ExitMeanings() []ExitMeaning {
	return []ExitMeaning{
		{ExitOK, "the command did its job; a poor score of an agent is not an error"},
		{ExitError, "unexpected error"},
		{ExitUsage, "usage: flags, arguments, unreadable or invalid input files"},
		{ExitFindings, "validate or check found problems"},
		{ExitGate, "the gate --fail-under was not met"},
		{ExitIncomplete, "the run ended, but more trials than --max-infra-errors have no grade"},
		{ExitEnvironment, "the environment is not usable (run gameday doctor)"},
		{ExitInterrupted, "interrupted by SIGINT; finished trials are on the disk"},
		{ExitTerminated, "interrupted by SIGTERM; finished trials are on the disk"},
	}
}

type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// Exit gives err an exit code of its own. A nil err stays nil.
func Exit(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

// ExitCode returns the exit code for err: the innermost one that Exit gave, else the one of its party.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	code, given := 0, false
	for rest := err; rest != nil; {
		var e *exitError
		if !errors.As(rest, &e) {
			break
		}
		code, given, rest = e.code, true, e.err
	}
	if given {
		return code
	}
	switch PartyOf(err) {
	case Usage:
		return ExitUsage
	case Infra:
		return ExitEnvironment
	case Interrupted:
		return ExitInterrupted
	}
	return ExitError
}
