package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Do calls a tool of cloud with args as its JSON object. Errors are those of Cloud.Call.
func Do(ctx context.Context, cloud Cloud, tool string, args any) (Result, error) {
	encoded, err := json.Marshal(args)
	if err != nil {
		return Result{}, fmt.Errorf("encode arguments of %s: %w", tool, err)
	}
	return cloud.Call(ctx, tool, encoded)
}

// ErrRefused is what Submit returns, wrapped, when the answer was not accepted.
var ErrRefused = errors.New("submission refused")

// Submit is Do for a submission: an answer that is not accepted is an error.
func Submit(ctx context.Context, cloud Cloud, tool string, args any) error {
	result, err := Do(ctx, cloud, tool, args)
	if err != nil {
		return err
	}
	if result.IsError {
		return fmt.Errorf("%w: %s: %s", ErrRefused, tool, result.Output)
	}
	return nil
}
