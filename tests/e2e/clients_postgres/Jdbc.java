import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

/** Asks the Postgres wire through JDBC and prints what it gets, one line each. */
public class Jdbc {
  public static void main(String[] arguments) throws Exception {
    Properties login = new Properties();
    login.put("user", "ann");
    login.put("password", System.getenv("PGPASSWORD"));
    String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/ducat";
    TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
    try (Connection connection = DriverManager.getConnection(url, login)) {
      DatabaseMetaData data = connection.getMetaData();
      ResultSet rows = data.getTables(null, "public", "%", null);
      while (rows.next()) System.out.println("table " + rows.getString(3) + " " + rows.getString(4));
      rows = data.getColumns(null, null, "sales", null);
      while (rows.next()) System.out.println("column " + rows.getString(4) + " " + rows.getString(6));
      for (ResultSet none : List.of(data.getPrimaryKeys(null, null, "sales"),
          data.getImportedKeys(null, null, "sales"), data.getIndexInfo(null, null, "sales", false, false)))
        while (none.next()) System.out.println("unexpected");
      rows = data.getTypeInfo();
      while (rows.next()) if (rows.getString(1).equals("int8")) System.out.println("type int8");

      PreparedStatement prepared = connection.prepareStatement(
          "SELECT shop_city, MEASURE(count), SUM(amount) FROM shop_sales "
          + "WHERE sale_id > ? AND sold_at > ? GROUP BY 1 ORDER BY 1");
      for (int round = 0; round < 7; round++) {  // the sixth is prepared on the server, in binary
        prepared.setLong(1, 10);
        prepared.setTimestamp(2, Timestamp.valueOf("2024-01-02 00:00:00"));
        rows = prepared.executeQuery();
        while (rows.next()) System.out.println("answer " + round + " " + rows.getString(1) + " "
            + rows.getLong(2) + " " + rows.getBigDecimal(3).stripTrailingZeros().toPlainString());
      }
      connection.setAutoCommit(false);
      Statement paged = connection.createStatement();
      paged.setFetchSize(7);
      rows = paged.executeQuery("SELECT sale_id, weight, sold_at, is_online FROM sales ORDER BY 1");
      long sum = 0;
      while (rows.next()) sum += rows.getLong(1);
      System.out.println("paged " + sum);
      connection.commit();
      try {
        paged.executeQuery("SELECT nope FROM sales");
      } catch (SQLException refused) {
        System.out.println("refused " + refused.getSQLState());
      }
      connection.rollback();
    }
  }
}
