package aggregator

import (
	"context"
	"fmt"
)

// factSpent is under which name the state has what was written of the budgets.
const factSpent = "budgets spent"

// keepBudgets keeps what was written of the budgets, so that a start begins no new day.
func (a *Aggregator) keepBudgets(ctx context.Context) error {
	if !a.budgeted {
		return nil // a start that failed knows nothing of them
	}
	spent, err := a.ingest.Spent()
	if err != nil {
		return fmt.Errorf("keeping what was written of the budgets: %w", err)
	}
	before, err := a.state.Fact(ctx, factSpent)
	if err != nil || before == string(spent) {
		return err
	}
	return a.state.KeepFact(ctx, factSpent, string(spent))
}

// restoreBudgets takes up what was kept. Without it, the day begins anew.
func (a *Aggregator) restoreBudgets(ctx context.Context) error {
	spent, err := a.state.Fact(ctx, factSpent)
	if err != nil || spent == "" {
		a.budgeted = err == nil
		return err
	}
	if err := a.ingest.Restore([]byte(spent)); err != nil {
		a.deps.Logger.WarnContext(ctx, "beginning the day's budgets anew", "error", err)
	}
	a.budgeted = true
	return nil
}
