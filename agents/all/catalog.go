package all

import "github.com/gameday-bench/gameday/agents/catalog"

func init() {
	// What is compiled in is checked by the catalogue's test.
	if err := catalog.RegisterEmbedded(); err != nil {
		panic(err)
	}
}
