package recipe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
)

// baseSpec is the OCI specification that containerd's containers start from: its default one, as ctr prints it, changed as kind does.
func baseSpec(ctx context.Context, ctr string) (string, error) {
	out, err := command.Run(ctx, command.Cmd{Name: ctr, Args: []string{"oci", "spec"}})
	if err != nil {
		return "", fmt.Errorf("ask containerd for its default specification: %w", err)
	}
	return changeSpec(out)
}

// changeSpec adds the hook that gives every container the node's product name, and takes out the limits, so that containers have the node's.
func changeSpec(spec []byte) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(spec))
	decoder.UseNumber() // Some numbers are larger than a float64 holds exactly.
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		return "", fmt.Errorf("decode containerd's default specification: %w", err)
	}
	process, ok := all["process"].(map[string]any)
	if !ok {
		return "", fmt.Errorf("containerd's default specification has no process, but %v", all["process"])
	}
	delete(process, "rlimits")
	hooks, ok := all["hooks"].(map[string]any)
	if !ok {
		hooks = map[string]any{}
		all["hooks"] = hooks
	}
	existing, _ := hooks["createContainer"].([]any)
	hooks["createContainer"] = append(existing, map[string]any{"path": "/kind/bin/mount-product-files.sh"})
	changed, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode specification: %w", err)
	}
	return string(changed), nil
}
