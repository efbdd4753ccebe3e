import java.sql.*;
import java.util.*;

/** Asks a server's Postgres wire through JDBC and prints what it gets, one line each. */
public class Flights {
  public static void main(String[] arguments) throws Exception {
    Properties login = new Properties();
    login.put("user", "ann");
    login.put("password", System.getenv("PGPASSWORD"));
    TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
    String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/ducat";
    try (Connection connection = DriverManager.getConnection(url, login)) {
      DatabaseMetaData data = connection.getMetaData();
      System.out.println("version " + data.getDriverVersion());
      ResultSet rows = data.getTables(null, "public", "%", null);
      while (rows.next()) System.out.println("table " + rows.getString(3));
      PreparedStatement prepared = connection.prepareStatement(arguments[1]);
      for (int round = 0; round < 6; round++) {  // the sixth is prepared on the server, in binary
        rows = prepared.executeQuery();
        while (rows.next())
          System.out.println(round + " " + rows.getString(1) + " " + rows.getLong(2) + " " + rows.getLong(3));
      }
      try {
        connection.createStatement().executeQuery(arguments[2]);
      } catch (SQLException refused) {
        System.out.println("refused " + refused.getSQLState());
      }
    }
  }
}
