import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;

/** Sums the histograms of a log and prints count and percentiles in JSON. */
public final class Sum {
    private static final double[] PERCENTILES = {50, 90, 95, 99, 99.9};
    private static final String[] NAMES = {"p50", "p90", "p95", "p99", "p999"};

    public static void main(String[] arguments) throws Exception {
        Histogram sum = new Histogram(1, 3_600_000_000L, 3);
        try (HistogramLogReader log = new HistogramLogReader(arguments[0])) {
            for (var interval = log.nextIntervalHistogram(); interval != null; interval = log.nextIntervalHistogram()) {
                sum.add((Histogram) interval);
            }
        }
        StringBuilder json = new StringBuilder("{\"count\": " + sum.getTotalCount());
        json.append(", \"min\": ").append(sum.getMinValue()).append(", \"max\": ").append(sum.getMaxValue());
        json.append(", \"mean\": ").append(Math.round(sum.getMean()));
        for (int i = 0; i < PERCENTILES.length; i++) {
            json.append(", \"").append(NAMES[i]).append("\": ").append(sum.getValueAtPercentile(PERCENTILES[i]));
        }
        System.out.println(json.append("}"));
    }
}
