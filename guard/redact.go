package guard

import "respect/replay"

// withoutCredentials is an event as it may be recorded: what people wrote and what servers answered may hold a connection string with its password. What
// a question showed is recorded as it was: it shows documents, which are in the plan and in the backup too.
func withoutCredentials(body any) any {
	hide := replay.WithoutCredentials
	switch b := body.(type) {
	case replay.Reason:
		b.Text, b.Screen = hide(b.Text), hide(b.Screen)
		return b
	case replay.Input:
		b.Text, b.Screen = hide(b.Text), hide(b.Screen)
		return b
	case replay.Loaded:
		b.Text = hide(b.Text)
		return b
	case replay.Command:
		b.Text, b.Error = hide(b.Text), hide(b.Error)
		return b
	case replay.Looked:
		b.Asked = hide(b.Asked)
		return b
	case replay.Decided:
		b.Answer, b.Why = hide(b.Answer), hide(b.Why)
		return b
	case replay.Outcome:
		b.Error = hide(b.Error)
		return b
	case replay.Refused:
		b.Text, b.Hints = hide(b.Text), hideAll(b.Hints)
		return b
	case replay.Recovery:
		b.Found = hide(b.Found)
		return b
	case replay.Security:
		b.Text = hide(b.Text)
		return b
	}
	return body
}

func hideAll(texts []string) []string {
	if texts == nil {
		return nil
	}
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = replay.WithoutCredentials(t)
	}
	return out
}
