// The questions that every client asks; the answers are compared with hand-written SQL in Python.
export const january = ['2013-01-01', '2013-01-31'];
export const february = ['2013-02-01', '2013-02-28'];

export const byCarrier = {
  measures: ['flights.count', 'flights.total_distance'],
  dimensions: ['flights.carrier'],
  timeDimensions: [{ dimension: 'flights.flight_date', dateRange: january }],
  order: { 'flights.carrier': 'asc' },
};

export const byMonthAndOrigin = {
  measures: ['flights.count'],
  dimensions: ['flights.origin'],
  timeDimensions: [
    { dimension: 'flights.flight_date', granularity: 'month', dateRange: [january[0], february[1]] },
  ],
  order: [['flights.flight_date', 'asc'], ['flights.origin', 'asc']],
};

export const compared = {
  measures: ['flights.count'],
  timeDimensions: [
    { dimension: 'flights.flight_date', granularity: 'month', compareDateRange: [january, february] },
  ],
};

export const blended = [
  {
    measures: ['flights.count'],
    timeDimensions: [{ dimension: 'flights.flight_date', granularity: 'month', dateRange: january }],
  },
  {
    measures: ['weather.observations_count'],
    timeDimensions: [{ dimension: 'weather.observed_at', granularity: 'month', dateRange: january }],
  },
];

export const counted = { measures: ['flights.count'] };
