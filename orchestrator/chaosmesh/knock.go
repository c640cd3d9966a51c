package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// reply is what comes back from the canary.
type reply int

const (
	unclear  reply = iota // the attempt says nothing about the canary
	answered              // its kernel answers: here that it refuses the connection
	silent                // nothing comes back
)

// knock tries once to reach the canary, by way of the API server, and says what it saw.
func (c *canary) knock(ctx context.Context) (reply, string) {
	r := c.release
	attempt, cancel := context.WithTimeout(ctx, r.pace.attempt)
	defer cancel()
	body, err := r.kube.CoreV1().Pods(r.namespace).ProxyGet("http", c.id, canaryPort, "/", nil).DoRaw(attempt)
	if err == nil {
		return answered, "something listens there"
	}
	// The API server says what happened in the body of its error.
	said := strings.TrimSpace(err.Error() + " " + string(body))
	var status apierrors.APIStatus
	switch fromServer := errors.As(err, &status); {
	case fromServer && strings.Contains(said, "connection refused"):
		return answered, said
	case fromServer && (strings.Contains(said, "i/o timeout") || strings.Contains(said, "deadline exceeded")):
		return silent, said
	case attempt.Err() != nil && ctx.Err() == nil:
		return silent, fmt.Sprintf("no answer within %s", r.pace.attempt)
	}
	return unclear, said
}

// awaitAnswer waits until the canary answers.
func (c *canary) awaitAnswer(ctx context.Context) error {
	return c.release.until(ctx, c.release.pace.step, "an answer of the canary", func(ctx context.Context) (string, error) {
		if got, detail := c.knock(ctx); got != answered {
			return detail, nil
		}
		return "", nil
	})
}

// awaitSilence waits until the canary does not answer any more.
func (c *canary) awaitSilence(ctx context.Context) error {
	heard := 0
	return c.release.until(ctx, c.release.pace.step, "the silence of the canary", func(ctx context.Context) (string, error) {
		got, detail := c.knock(ctx)
		if got != silent {
			heard = 0
			return "it still answers, or the API server does not: " + detail, nil
		}
		if heard++; heard < silences {
			return detail, nil
		}
		return "", nil
	})
}
