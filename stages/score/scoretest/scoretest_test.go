package scoretest_test

import (
	"testing"

	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/space"
)

func TestSyntheticEvaluatorConforms(t *testing.T) {
	sp := space.NASBench201()
	failing := []space.Architecture{{0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}}
	fails := func(a space.Architecture) bool { return a.Equal(failing[0]) || a.Equal(failing[1]) }
	scoretest.Run(t, scoretest.Suite{
		Space: sp, Failing: failing,
		New: func(*testing.T) score.Evaluator { return &scoretest.Synthetic{Space: sp, Noise: 0.2, Fails: fails} },
	})
}

func TestCacheConforms(t *testing.T) {
	sp := space.NASBench201()
	failing := []space.Architecture{{2, 2, 2, 2, 2, 2}}
	scoretest.Run(t, scoretest.Suite{
		Space: sp, Failing: failing,
		New: func(*testing.T) score.Evaluator {
			c := score.NewCache(&scoretest.Synthetic{Space: sp, Fails: failing[0].Equal})
			c.Chunk = 3
			return c
		},
	})
}
