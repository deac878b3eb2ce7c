package kql

import (
	"strings"
	"time"
)

// spans are the words for a time that are more than one.
var spans = []string{"this week", "last week", "last 7 days", "this month", "last month", "last 30 days", "this year", "last year"}

// span is what a date means: a day, a second, a part of a second, or what
// words say of now.
func span(value string, now time.Time) (from, to time.Time, ok bool) {
	y, m, d := now.Date()
	day := func(offset int) time.Time { return time.Date(y, m, d+offset, 0, 0, 0, 0, now.Location()) }
	month := func(offset int) time.Time { return time.Date(y, m+time.Month(offset), 1, 0, 0, 0, 0, now.Location()) }
	year := func(offset int) time.Time { return time.Date(y+offset, 1, 1, 0, 0, 0, 0, now.Location()) }
	monday := -(int(now.Weekday()) + 6) % 7
	switch strings.ToLower(strings.Join(strings.Fields(value), " ")) {
	case "today":
		return day(0), day(1), true
	case "yesterday":
		return day(-1), day(0), true
	case "this week":
		return day(monday), day(monday + 7), true
	case "last week":
		return day(monday - 7), day(monday), true
	case "last 7 days":
		return day(-6), day(1), true
	case "this month":
		return month(0), month(1), true
	case "last month":
		return month(-1), month(0), true
	case "last 30 days":
		return day(-29), day(1), true
	case "this year":
		return year(0), year(1), true
	case "last year":
		return year(-1), year(0), true
	}
	for _, l := range []struct {
		layout string
		length time.Duration
	}{
		{"2006-01-02T15:04:05.999999999Z07:00", time.Second},
		{"2006-01-02T15:04:05", time.Second},
		{"2006-01-02 15:04:05", time.Second},
		{"2006-01-02T15:04Z07:00", time.Minute},
		{"2006-01-02T15:04", time.Minute},
		{"2006-01-02 15:04", time.Minute},
	} {
		if t, err := time.ParseInLocation(l.layout, value, now.Location()); err == nil {
			if t.Nanosecond() != 0 {
				l.length = 1
			}
			return t, t.Add(l.length), true
		}
	}
	if t, err := time.ParseInLocation(time.DateOnly, value, now.Location()); err == nil {
		return t, t.AddDate(0, 0, 1), true
	}
	return from, to, false
}
