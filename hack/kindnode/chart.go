package main

import (
	"fmt"
	"os"

	"gopkg.in/yaml.v3"
)

// The annotation by which a chart says which kinds of faults its images cannot inject; gameday reads it, and refuses such faults before a run.
// HTTPChaos wants the program tproxy in the daemon's image, and IOChaos toda: neither is written in Go.
const (
	lacksAnnotation = "gameday.dev/lacks"
	lacks           = "HTTPChaos IOChaos"
)

// noteLacks puts the annotation into a chart's file.
func noteLacks(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var meta map[string]any
	if err := yaml.Unmarshal(data, &meta); err != nil {
		return fmt.Errorf("decode %s: %w", file, err)
	}
	annotations, ok := meta["annotations"].(map[string]any)
	if !ok {
		annotations = map[string]any{}
	}
	annotations[lacksAnnotation] = lacks
	meta["annotations"] = annotations
	if data, err = yaml.Marshal(meta); err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	return os.WriteFile(file, data, 0o644)
}
