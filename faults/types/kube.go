package types

import (
	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/faults/kube"
)

func init() { faults.Register("kube", kube.New) }
