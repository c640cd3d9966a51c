package types

import (
	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/faults/chaosmesh"
)

func init() { faults.Register("chaosmesh", chaosmesh.New) }
