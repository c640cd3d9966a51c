package graders_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/evaluator/evaluatortest"
	"github.com/gameday-bench/gameday/evaluator/graders"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/problems"
)

func TestGoldenTrials(t *testing.T) {
	t.Parallel()
	trials, err := evaluatortest.Trials()
	require.NoError(t, err)
	require.Greater(t, len(trials), 20)
	for _, trial := range trials {
		t.Run(trial.Name, func(t *testing.T) {
			t.Parallel()
			scores, err := graders.GradeAll(trial.Input, trial.Tasks)
			if trial.Error != "" {
				require.EqualError(t, err, trial.Error)
				require.Equal(t, errs.Grader, errs.PartyOf(err))
				require.Nil(t, scores)
				return
			}
			require.NoError(t, err)
			require.Equal(t, trial.Want, scores)
			again, err := graders.GradeAll(trial.Input, trial.Tasks)
			require.NoError(t, err)
			require.Equal(t, scores, again, "grading the same input again gives the same")
		})
	}
}

func TestAllAreTheTasksInOrder(t *testing.T) {
	t.Parallel()
	var names []string
	for _, g := range graders.All() {
		names = append(names, g.Name())
	}
	require.Equal(t, problems.Tasks(), names)
	require.Equal(t, []string{"detection", "mitigation"}, graders.Tasks([]string{"mitigation", "detection"}, false))
	require.Equal(t, []string{"detection"}, graders.Tasks(problems.Tasks(), true))
	require.Empty(t, graders.Tasks([]string{"mitigation"}, true))
}
