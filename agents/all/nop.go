package all

import _ "github.com/gameday-bench/gameday/agents/nop"
