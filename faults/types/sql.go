package types

import (
	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/faults/appfault"
)

func init() { faults.Register("sql", appfault.NewSQL) }
