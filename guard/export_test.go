package guard

import "context"

// Confirm is the question that goes before a write, for measuring what it costs.
func (d *Deployment) Confirm(ctx context.Context, databases ...string) error {
	return d.confirm(ctx, databases...)
}
