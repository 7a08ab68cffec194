package player

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// When reads a time as people write it: now, 2h, 3 days ago, yesterday, yesterday 18:00, monday, last week, 2026-11, 2026-11-20, 2026-11-20 18:00,
// 18:00, RFC 3339. It returns where that begins and where it has ended; both are the same for an instant. now says what it is relative to
// and in which zone.
func When(text string, now time.Time) (from, to time.Time, err error) {
	words := strings.Fields(strings.ToLower(text))
	switch {
	case len(words) == 0:
		return from, to, fmt.Errorf("no time is given")
	case len(strings.Join(words, " ")) > 100:
		return from, to, fmt.Errorf("%d bytes are no time", len(text))
	}
	if t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(strings.Join(words, "T"))); err == nil {
		return t, t, nil
	}
	if len(words) == 1 {
		if day, clock, ok := strings.Cut(words[0], "t"); ok && strings.Contains(clock, ":") {
			words = []string{day, clock}
		}
	}
	if t, ok := ago(words, now); ok {
		return t, t, nil
	}
	if clock, ok := timeOfDay(words[len(words)-1]); ok {
		day := now
		if len(words) > 1 {
			var end time.Time
			if day, end, ok = span(words[:len(words)-1], now); !ok || !end.Equal(day.AddDate(0, 0, 1)) {
				return from, to, unreadable(text)
			}
		}
		t := time.Date(day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0, now.Location())
		return t, t, nil
	}
	if from, to, ok := span(words, now); ok {
		return from, to, nil
	}
	return from, to, unreadable(text)
}

func unreadable(text string) error {
	return fmt.Errorf("%q is no time; yesterday, 2h, 3 days ago, monday, last week, 2026-11-20, 2026-11-20 18:00 are", text)
}

var (
	shortAgo = regexp.MustCompile(`^(\d{1,6})(s|m|h|d|w)`)
	units    = map[string]string{"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w", "month": "M", "year": "y"}
)

// ago reads 2h, 1h30m, 2h ago, 3 days ago, an hour ago.
func ago(words []string, now time.Time) (time.Time, bool) {
	if words[0] == "now" && len(words) == 1 {
		return now, true
	}
	if len(words) == 3 && words[2] == "ago" {
		n, err := strconv.Atoi(words[0])
		if words[0] == "a" || words[0] == "an" {
			n, err = 1, nil
		}
		unit, known := units[strings.TrimSuffix(words[1], "s")]
		if err != nil || !known || n < 0 || n > 1e6 || (unit == "y" || unit == "M") && n > 1000 {
			return time.Time{}, false
		}
		return back(now, n, unit), true
	}
	if len(words) > 2 || len(words) == 2 && words[1] != "ago" {
		return time.Time{}, false
	}
	t, rest := now, words[0]
	for rest != "" {
		m := shortAgo.FindStringSubmatch(rest)
		if m == nil {
			return time.Time{}, false
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return time.Time{}, false
		}
		if t, rest = back(t, n, m[2]), rest[len(m[0]):]; t.Year() < 1 {
			return time.Time{}, false
		}
	}
	return t, true
}

func back(t time.Time, n int, unit string) time.Time {
	switch unit {
	case "d":
		return t.AddDate(0, 0, -n)
	case "w":
		return t.AddDate(0, 0, -7*n)
	case "M":
		return t.AddDate(0, -n, 0)
	case "y":
		return t.AddDate(-n, 0, 0)
	case "h":
		return t.Add(-time.Duration(n) * time.Hour)
	case "m":
		return t.Add(-time.Duration(n) * time.Minute)
	}
	return t.Add(-time.Duration(n) * time.Second)
}

func timeOfDay(s string) (time.Time, bool) {
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// span reads a day, a week, a month or a year.
func span(words []string, now time.Time) (from, to time.Time, ok bool) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())
	year := time.Date(now.Year(), 1, 1, 0, 0, 0, 0, now.Location())
	sinceMonday := (int(now.Weekday()) + 6) % 7
	week := today.AddDate(0, 0, -sinceMonday)
	switch phrase := strings.Join(words, " "); phrase {
	case "today":
		return today, today.AddDate(0, 0, 1), true
	case "yesterday":
		return today.AddDate(0, 0, -1), today, true
	case "this week":
		return week, week.AddDate(0, 0, 7), true
	case "last week":
		return week.AddDate(0, 0, -7), week, true
	case "this month":
		return month, month.AddDate(0, 1, 0), true
	case "last month":
		return month.AddDate(0, -1, 0), month, true
	case "this year":
		return year, year.AddDate(1, 0, 0), true
	case "last year":
		return year.AddDate(-1, 0, 0), year, true
	default:
		return calendar(phrase, today)
	}
}

// calendar reads monday, last monday, 2026-11-20, 2026-11 and 2026.
func calendar(phrase string, today time.Time) (from, to time.Time, ok bool) {
	name := strings.TrimPrefix(phrase, "last ")
	for d := time.Sunday; d <= time.Saturday; d++ {
		full := strings.ToLower(d.String())
		if name != full && name != full[:3] {
			continue
		}
		days := (int(today.Weekday()) - int(d) + 7) % 7
		if days == 0 && name != phrase {
			days = 7
		}
		from := today.AddDate(0, 0, -days)
		return from, from.AddDate(0, 0, 1), true
	}
	for _, f := range []struct {
		layout              string
		years, months, days int
	}{{time.DateOnly, 0, 0, 1}, {"2006-01", 0, 1, 0}, {"2006", 1, 0, 0}} {
		if t, err := time.ParseInLocation(f.layout, phrase, today.Location()); err == nil {
			return t, t.AddDate(f.years, f.months, f.days), true
		}
	}
	return from, to, false
}
